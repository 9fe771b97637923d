"""What the pages say of the code is true: paths exist, and every route, metric and command is there."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from scripts.docs.generated import command_line, on_page_markdown, routes
from service.observability.metrics import ServiceGauges, ServiceMetrics
from tests.support import REPOSITORY
from training.data.sources import parse_source
from training.methods.registry import METHODS
from training.translation import plan

DOCS = REPOSITORY / "docs"
ROOMS = (
    "model_store/",
    "training/",
    "service/",
    "tests/",
    "scripts/",
    "benchmarks/",
    "deploy/",
    "examples/",
    "docs/",
)
# The log is a diary: it names files as they were.
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.name != "log.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`((?:[\w.+-]+/)+[\w.+*-]*|[\w-]+\.(?:md|toml|yml))`", page.read_text(encoding="utf-8"))
    ours = [name for name in named if name.startswith(ROOMS)]
    missing = [
        name
        for name in ours
        if "PLAN" not in name and not (REPOSITORY / name).exists() and not list(REPOSITORY.glob(name))
    ]
    assert [name for name in missing if name not in WRITTEN_BY_THE_READER] == []


WRITTEN_BY_THE_READER = {
    "training/methods/sequential_adapter.py",
    "tests/training/methods/test_sequential_adapter.py",
    "training/translation/command.py",
    "tests/training/translation/test_command.py",
    "service/engine/backends/float64_network.py",
    "tests/service/engine/backends/test_float64_network.py",
}


def test_the_architecture_names_every_room() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for package in ("model_store", "training", "service"):
        rooms = [path for path in (REPOSITORY / package).iterdir() if (path / "__init__.py").exists()]
        assert rooms
        assert [room.name for room in rooms if f"{package}/{room.name}/" not in page] == []


def test_every_metric_has_a_line() -> None:
    page = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    metrics = ServiceMetrics()
    metrics.watch(lambda: ServiceGauges(0, 0, 0, 0, False, 0, 0, None))
    names = [family.name for family in metrics.registry.collect()]
    assert len(names) > 15
    assert [name for name in names if f"`{name.removeprefix('relevance_')}" not in page] == []


def test_the_generated_reference_has_every_command_and_route() -> None:
    commands, table = command_line(), routes()
    for name in ("training continual", "training report", "service cache purge-query", "model_store promote"):
        assert f"### {name}\n" in commands
    assert "| `--sequence` | required |" in commands
    for route in ("POST /score", "GET /cache/{marketplace}", "DELETE /jobs/{job_id}"):
        assert f"| `{route}` |" in table


def test_the_tutorials_csv_is_read_with_its_mapping(tmp_path: Path) -> None:
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    files = {kind: tmp_path / f"file.{kind}" for kind in ("csv", "yaml")}
    for kind, file in files.items():
        [block] = re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)
        file.write_text(block, encoding="utf-8")
    pairs = parse_source(f"table:{files['csv']}:{files['yaml']}").load(["us", "es"], seed=0)
    assert [(pair.query, pair.label) for pair in pairs["es"]] == [("cafetera blanca", 1), ("cafetera blanca", 0)]
    assert len(pairs["us"]) == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_import_that_a_page_shows_works(page: Path) -> None:
    shown = re.findall(
        r"^ *from ((?:training|service|model_store)[\w.]*) import ([\w, ]+)$",
        page.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    own = {
        "training.methods.sequential_adapter",
        "training.translation.command",
        "service.engine.backends.float64_network",
    }
    for module, names in shown:
        if module not in own:
            for name in names.split(", "):
                assert hasattr(importlib.import_module(module), name), f"from {module} import {name}"


def test_an_unknown_marker_is_refused() -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="reference/api.md"))
    assert "| `POST /score` |" in on_page_markdown("<!-- generated: routes -->", page)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"reference/api.md: nothing is called 'weather'"):
        on_page_markdown("<!-- generated: weather -->", page)  # type: ignore[arg-type]


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
