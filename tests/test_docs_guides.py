"""Whoever follows "write a method, a translator, a backend" gets one: the pages' own code is built and run."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.repository import REPOSITORY
from training.methods.registry import METHODS
from training.translation import plan

GUIDES = REPOSITORY / "docs" / "guides"


def built(
    page: str, module_path: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[ModuleType, ModuleType]:
    """The module and the test that a page shows, imported under the names that it gives them."""
    text = (GUIDES / page).read_text(encoding="utf-8")
    module, test = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    test_path = f"tests/{Path(module_path).parent}/test_{Path(module_path).name}".removeprefix("./")
    for path in (module_path, test_path):
        assert f"`{path}`" in text
        assert not (REPOSITORY / path).exists(), "the page shows something that the project does not have"
    return tuple(
        imported(path.removesuffix(".py").replace("/", "."), code, folder, monkeypatch)
        for path, code in ((module_path, module), (test_path, test))
    )  # type: ignore[return-value]


def imported(name: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    file = folder / f"{name}.py"
    file.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def run(test: ModuleType, **fixtures: object) -> int:
    """Call the page's tests with the fixtures that they ask for; how many there were."""
    functions = [item for name, item in vars(test).items() if name.startswith("test_")]
    for function in functions:
        marks = getattr(function, "pytestmark", [])
        cases = [
            dict(zip(mark.args[0].split(","), (value,), strict=True)) for mark in marks for value in mark.args[1]
        ]
        for case in cases or [{}]:
            wanted = inspect.signature(function).parameters
            function(**{name: value for name, value in {**fixtures, **case}.items() if name in wanted})
    return len(functions)


def test_write_a_method(tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "training/methods/sequential_adapter.py"
    module, test = built("write_a_method.md", path, tmp_path, monkeypatch)
    monkeypatch.setitem(METHODS, "sequential_adapter", module.SequentialAdapter)
    assert run(test, tiny_encoder_folder=tiny_encoder_folder, tmp_path=tmp_path / "run") == 1


@pytest.mark.skipif(shutil.which("tr") is None, reason="the page's program, tr, is not installed")
def test_write_a_translator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, test = built("write_a_translator.md", "training/translation/command.py", tmp_path, monkeypatch)
    monkeypatch.setitem(plan._ENGINES, "command", module.CommandTranslator)
    monkeypatch.setitem(plan._NEED_AN_ARGUMENT, "command", "COMMAND")
    monkeypatch.setattr(plan, "_MAY_HAVE_AN_ARGUMENT", {"opus_mt", *plan._NEED_AN_ARGUMENT})
    assert run(test) == 2


def test_write_a_backend(tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "service/engine/backends/float64_network.py"
    _, test = built("write_a_backend.md", path, tmp_path, monkeypatch)
    assert run(test, tiny_encoder_folder=tiny_encoder_folder) == 1
