from __future__ import annotations

import pytest
import torch

from model_store.errors import ConfigurationError
from service.engine import engine_choice
from service.engine.engine_choice import EngineOptions, engine_choices

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def names(options: EngineOptions, device: torch.device = CPU) -> list[str]:
    return [choice.name for choice in engine_choices(options, device)]


@pytest.fixture(autouse=True, params=[False, True], ids=["plain CPU", "bf16 CPU"])
def native_bf16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    native = bool(request.param)
    monkeypatch.setattr(engine_choice, "bf16_is_faster", lambda: native)
    return native


def test_auto_prefers_the_fastest_and_then_what_always_works(native_bf16: bool) -> None:
    expected = ["onnxruntime-int8", "torch-float32"]
    assert names(EngineOptions())[:3] == (["torch-bf16", *expected] if native_bf16 else [*expected, "torch-bf16"])
    assert names(EngineOptions(), GPU)[:2] == ["torch-bf16", "torch-float32"]


def test_a_setting_narrows_the_choice() -> None:
    assert set(names(EngineOptions(backend="torch"))) == {"torch-float32", "torch-bf16"}
    assert names(EngineOptions(backend="torch", precision="bf16")) == ["torch-bf16"]
    assert names(EngineOptions(precision="float32")) == ["torch-float32", "onnxruntime-float32"]
    assert names(EngineOptions(backend="onnxruntime")) == ["onnxruntime-int8", "onnxruntime-float32"]
    assert names(EngineOptions(backend="onnxruntime"), GPU) == ["onnxruntime-float32"]


def test_what_does_not_exist_is_refused_with_what_does() -> None:
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
