from __future__ import annotations

import pytest
import torch

from model_store.errors import ConfigurationError
from service.engine import engine_choice
from service.engine.engine_choice import EngineOptions, engine_choices

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def names(options: EngineOptions, device: torch.device = CPU) -> list[str]:
    return [choice.name for choice in engine_choices(options, device)]


def test_auto_prefers_the_fastest_and_ends_with_what_always_works() -> None:
    assert names(EngineOptions()) == ["onnxruntime-int8", "onnxruntime-float32", "torch-float32"]
    assert names(EngineOptions(), GPU) == ["torch-bf16", "torch-float32"]


def test_a_setting_narrows_the_choice() -> None:
    assert names(EngineOptions(backend="torch")) == ["torch-float32"]
    assert names(EngineOptions(backend="torch", precision="bf16")) == ["torch-bf16"]
    assert names(EngineOptions(precision="float32")) == ["onnxruntime-float32", "torch-float32"]
    assert names(EngineOptions(backend="onnxruntime"), GPU) == ["onnxruntime-float32"]


def test_what_does_not_exist_is_refused_with_what_does() -> None:
    with pytest.raises(ConfigurationError, match=r"no torch int8 on cpu; there are: onnxruntime int8, "):
        engine_choices(EngineOptions(backend="torch", precision="int8"), CPU)
    with pytest.raises(ConfigurationError, match="no auto int8 on cuda"):
        engine_choices(EngineOptions(precision="int8"), GPU)


def test_without_onnx_runtime_torch_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "find_spec", lambda _: None)
    assert names(EngineOptions()) == ["torch-float32"]
    with pytest.raises(ConfigurationError, match=r"BACKEND.*pip install"):
        engine_choices(EngineOptions(backend="onnxruntime"), CPU)
