from __future__ import annotations

import pytest
import torch

from model_store.errors import ConfigurationError
from service.engine import engine_choice
from service.engine.engine_choice import engine_choices
from service.engine.engine_options import EngineOptions

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def names(options: EngineOptions, device: torch.device = CPU) -> list[str]:
    return [choice.name for choice in engine_choices(options, device)]


@pytest.fixture(autouse=True, params=[(False, False), (True, False), (True, True)], ids=str)
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, bool]:
    """Whether the processor has bf16 and int8 products."""
    bf16, int8 = request.param
    monkeypatch.setattr(engine_choice, "bf16_is_faster", lambda: bf16)
    monkeypatch.setattr(engine_choice, "int8_is_faster", lambda: int8)
    monkeypatch.setattr(engine_choice, "int8_is_exact", lambda: int8)
    return bf16, int8


def test_auto_prefers_the_fastest_and_then_what_always_works(native: tuple[bool, bool]) -> None:
    bf16, int8 = native
    expected = ["torch-int8"] * int8 + ["torch-bf16"] * bf16 + ["onnxruntime-int8", "torch-float32"]
    assert names(EngineOptions())[: len(expected)] == expected
    assert names(EngineOptions(), GPU)[:2] == ["torch-bf16", "torch-float32"]


def test_a_setting_narrows_the_choice(native: tuple[bool, bool]) -> None:
    assert set(names(EngineOptions(backend="torch"))) - {"torch-int8"} == {"torch-float32", "torch-bf16"}
    assert ("torch-int8" in names(EngineOptions(precision="int8"))) == native[1]
    assert names(EngineOptions(backend="torch", precision="bf16")) == ["torch-bf16"]
    assert names(EngineOptions(precision="float32")) == ["torch-float32", "onnxruntime-float32"]
    assert names(EngineOptions(backend="onnxruntime")) == ["onnxruntime-int8", "onnxruntime-float32"]
    assert names(EngineOptions(backend="onnxruntime"), GPU) == ["onnxruntime-float32"]


def test_int8_that_is_slower_but_exact_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "int8_is_faster", lambda: False)
    monkeypatch.setattr(engine_choice, "int8_is_exact", lambda: True)
    assert names(EngineOptions(backend="torch", precision="int8")) == ["torch-int8"]
    assert names(EngineOptions())[0] != "torch-int8"


def test_what_does_not_exist_is_refused_with_what_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "int8_is_faster", lambda: False)
    monkeypatch.setattr(engine_choice, "int8_is_exact", lambda: False)
    with pytest.raises(ConfigurationError, match=r"no torch int8 on cpu; there are: .*onnxruntime int8"):
        engine_choices(EngineOptions(backend="torch", precision="int8"), CPU)
    with pytest.raises(ConfigurationError, match="no auto int8 on cuda"):
        engine_choices(EngineOptions(precision="int8"), GPU)


def test_without_onnx_runtime_torch_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "find_spec", lambda _: None)
    assert names(EngineOptions(precision="float32")) == ["torch-float32"]
    assert "onnxruntime-int8" not in names(EngineOptions())
    with pytest.raises(ConfigurationError, match=r"BACKEND.*pip install"):
        engine_choices(EngineOptions(backend="onnxruntime"), CPU)
