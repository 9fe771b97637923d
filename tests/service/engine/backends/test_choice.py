from __future__ import annotations

import pytest
import torch

from model_store.errors import ConfigurationError
from service.engine.backends import choice as engine_choice
from service.engine.backends import product_probes
from service.engine.backends.choice import checked_device, engine_choices
from service.engine.backends.product_probes import Int8Products, bf16_problem
from service.engine.options import EngineOptions

CPU, GPU = torch.device("cpu"), torch.device("cuda")
NO_BF16 = "bf16 path needs the cpu support avx512bw"


def names(options: EngineOptions, device: torch.device = CPU) -> list[str]:
    return [choice.name for choice in engine_choices(options, device)]


def machine(
    monkeypatch: pytest.MonkeyPatch,
    bf16: str | None = None,
    torch_int8: Int8Products | None = None,
    onnx_int8: Int8Products | None = None,
) -> None:
    """A machine on which the probes find this; all works by default."""
    monkeypatch.setattr(engine_choice, "bf16_problem", lambda _: bf16)
    monkeypatch.setattr(engine_choice, "torch_int8", lambda: torch_int8 or Int8Products())
    monkeypatch.setattr(engine_choice, "onnx_int8", lambda: onnx_int8 or Int8Products())


def test_a_cpu_may_have_all_forms_and_a_gpu_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    everything = ["torch-int8", "torch-bf16", "onnxruntime-int8", "onnxruntime-float32", "torch-float32"]
    assert names(EngineOptions()) == everything
    assert names(EngineOptions(), GPU) == ["torch-bf16", "torch-float32"]
    assert names(EngineOptions(backend="onnxruntime"), GPU) == ["onnxruntime-float32"]


def test_a_setting_narrows_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    assert names(EngineOptions(backend="torch")) == ["torch-int8", "torch-bf16", "torch-float32"]
    assert names(EngineOptions(precision="int8")) == ["torch-int8", "onnxruntime-int8"]
    assert names(EngineOptions(backend="torch", precision="bf16")) == ["torch-bf16"]
    assert names(EngineOptions(precision="float32")) == ["onnxruntime-float32", "torch-float32"]


def test_where_products_overflow_int8_has_7_bits_and_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, NO_BF16, Int8Products(7), Int8Products(7))
    expected = ["torch-int8-7bit", "onnxruntime-int8-7bit", "onnxruntime-float32", "torch-float32"]
    assert names(EngineOptions()) == expected


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_form_that_does_not_work_is_refused_with_what_is_missing_and_what_works(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    machine(monkeypatch, NO_BF16, Int8Products(problem="no qlinear"))
    options = EngineOptions(backend=backend, precision="bf16")  # type: ignore[arg-type]
    expected = (
        rf"no {backend} bf16 on cpu here \(torch bf16: {NO_BF16}\); "
        "there are: onnxruntime int8, onnxruntime float32, torch float32"
    )
    with pytest.raises(ConfigurationError, match=expected):
        engine_choices(options, CPU)
    assert names(EngineOptions(precision="int8")) == ["onnxruntime-int8"]
    with pytest.raises(ConfigurationError, match=r"no torch int8 on cpu here \(torch int8: no qlinear\)"):
        engine_choices(EngineOptions(backend="torch", precision="int8"), CPU)
    with pytest.raises(ConfigurationError, match="no auto int8 on cuda"):
        engine_choices(EngineOptions(precision="int8"), GPU)


def test_bf16_is_there_by_name_just_where_it_works() -> None:
    options, problem = EngineOptions(precision="bf16"), bf16_problem("cpu")
    if problem is None:
        assert names(options) == ["torch-bf16"]
        return
    with pytest.raises(ConfigurationError) as refusal:
        engine_choices(options, CPU)
    assert problem in str(refusal.value)


def test_without_onnx_runtime_torch_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_probes, "find_spec", lambda _: None)
    assert names(EngineOptions(precision="float32")) == ["torch-float32"]
    with pytest.raises(ConfigurationError, match=r"BACKEND.*pip install onnx onnxruntime"):
        engine_choices(EngineOptions(backend="onnxruntime"), CPU)


def test_a_device_that_is_not_there_is_said() -> None:
    with pytest.raises(ConfigurationError, match=r"DEVICE: there is no cuda:99 .*use auto or cpu"):
        checked_device("cuda:99")


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert checked_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert checked_device("cpu").type == "cpu"
