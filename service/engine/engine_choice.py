"""What computes: a backend and a precision, from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import torch

from model_store.bf16 import bf16_is_faster
from model_store.errors import ConfigurationError
from service.engine.engine_options import EngineOptions
from service.engine.int8_products import int8_is_exact, int8_is_faster


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """One form in which a version can be served."""

    backend: Literal["torch", "onnxruntime"]
    precision: Literal["float32", "bf16", "int8"]

    @property
    def name(self) -> str:
        """As a folder's name: `onnxruntime-int8`."""
        return f"{self.backend}-{self.precision}"

    @property
    def is_exact(self) -> bool:
        """Whether scores are those of the trained network, up to rounding."""
        return self.precision == "float32"


TORCH_FLOAT32 = EngineChoice("torch", "float32")
_TORCH_BF16 = EngineChoice("torch", "bf16")
TORCH_INT8 = EngineChoice("torch", "int8")
_ONNX_FLOAT32 = EngineChoice("onnxruntime", "float32")
_ONNX_INT8 = EngineChoice("onnxruntime", "int8")


def engine_choices(options: EngineOptions, device: torch.device) -> list[EngineChoice]:
    """The forms that the settings allow, the one to be preferred first.

    `auto` is torch in bf16 on a GPU. On a CPU it is torch in int8 where the processor has such products, then
    torch in bf16 likewise, then ONNX Runtime with int8 weights, where the packages are installed. Torch in
    float32 comes last: it always works. The other forms are for those who ask for them.

    Raises:
        ConfigurationError: no form has this backend and precision, or its package is not installed.
    """
    backend, precision = options.backend, options.precision
    if backend == "onnxruntime" and not onnx_runtime_is_installed():
        raise ConfigurationError(
            "setting BACKEND: onnxruntime or onnx is not installed: pip install onnxruntime onnx"
        )
    onnx = [_ONNX_INT8, _ONNX_FLOAT32] if onnx_runtime_is_installed() else []
    on_cpu = device.type == "cpu"
    native = [_TORCH_BF16] if not on_cpu or bf16_is_faster() else []
    if on_cpu and int8_is_faster():
        native.insert(0, TORCH_INT8)
    known = [*native, *(onnx[:1] if on_cpu else []), TORCH_FLOAT32]
    exact_int8 = [TORCH_INT8] if on_cpu and int8_is_exact() else []
    on_request = [choice for choice in (*exact_int8, _TORCH_BF16, *onnx[1:]) if choice not in known]
    found = [
        choice
        for choice in (*known, *on_request)
        if backend in ("auto", choice.backend) and precision in ("auto", choice.precision)
    ]
    if not found:
        possible = ", ".join(f"{choice.backend} {choice.precision}" for choice in (*known, *on_request))
        raise ConfigurationError(
            f"settings BACKEND and PRECISION: there is no {backend} {precision} on {device.type}; "
            f"there are: {possible}"
        )
    return found


def onnx_runtime_is_installed() -> bool:
    """Whether graphs can be made and run."""
    return all(find_spec(package) is not None for package in ("onnx", "onnxruntime"))
