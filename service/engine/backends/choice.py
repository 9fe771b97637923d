"""What computes: a backend and a precision, from the settings and from what works on this machine."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

import torch

from model_store.errors import ConfigurationError
from service.engine.backends.product_probes import WeightBits, bf16_problem, onnx_int8, onnx_problem, torch_int8
from service.engine.options import EngineOptions


def checked_device(name: str) -> torch.device:
    """The device of a setting; `auto` is a GPU where there is one.

    Raises:
        ConfigurationError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"setting DEVICE: there is no {name} (GPUs found: {torch.cuda.device_count()}); use auto or cpu"
        )
    return device


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """One form in which a version can be served. `weight_bits` is of int8 alone."""

    backend: Literal["torch", "onnxruntime"]
    precision: Literal["float32", "bf16", "int8"]
    weight_bits: WeightBits = 8

    @property
    def name(self) -> str:
        """As a folder's name: `onnxruntime-float32`, `torch-int8-7bit`."""
        bits = "" if self.weight_bits == 8 else f"-{self.weight_bits}bit"
        return f"{self.backend}-{self.precision}{bits}"

    @property
    def is_exact(self) -> bool:
        """Whether scores are those of the trained network, up to rounding."""
        return self.precision == "float32"


TORCH_FLOAT32 = EngineChoice("torch", "float32")
TORCH_BF16 = EngineChoice("torch", "bf16")
TORCH_INT8 = EngineChoice("torch", "int8")
ONNX_FLOAT32 = EngineChoice("onnxruntime", "float32")
ONNX_INT8 = EngineChoice("onnxruntime", "int8")

_FORMS = (TORCH_INT8, TORCH_BF16, ONNX_INT8, ONNX_FLOAT32, TORCH_FLOAT32)


def engine_choices(options: EngineOptions, device: torch.device) -> list[EngineChoice]:
    """The forms that the settings allow and that work on this machine, inexact ones first.

    Whether one works is tried on small products, once. On a GPU `auto` is one of torch's: bf16 where the GPU has
    it, then float32. ONNX Runtime there is for those who ask for it.

    Raises:
        ConfigurationError: no form that works here has this backend and precision.
    """
    working, problems = _tried(device)
    asked = [form for form in _FORMS if _matches(form, options)]
    found = [working[form] for form in asked if form in working]
    for form in asked:
        if form in problems:
            _log.info("%s is not used: %s", form.name, problems[form])
    if device.type != "cpu" and options.backend == "auto":
        found = [choice for choice in found if choice.backend == "torch"] or found
    if not found:
        missing = "; ".join(f"{form.backend} {form.precision}: {problems[form]}" for form in asked)
        possible = ", ".join(f"{choice.backend} {choice.precision}" for choice in working)
        raise ConfigurationError(
            f"settings BACKEND and PRECISION: there is no {options.backend} {options.precision} on {device.type} "
            f"here ({missing}); there are: {possible}"
        )
    return found


def _matches(form: EngineChoice, options: EngineOptions) -> bool:
    return options.backend in ("auto", form.backend) and options.precision in ("auto", form.precision)


def _tried(device: torch.device) -> tuple[dict[EngineChoice, EngineChoice], dict[EngineChoice, str]]:
    """The forms that work, each with the one to be used here, and what is missing for the others."""
    working, problems = {}, {}
    for form in _FORMS:
        problem, bits = _problem(form, device)
        if problem:
            problems[form] = problem
        else:
            working[form] = replace(form, weight_bits=bits)
    return working, problems


def _problem(form: EngineChoice, device: torch.device) -> tuple[str | None, WeightBits]:
    """What keeps a form from working, and the bits of its weights."""
    missing = onnx_problem() if form.backend == "onnxruntime" else None
    if missing or form.precision == "float32":
        return missing, 8
    if form.precision == "bf16":
        return bf16_problem(device.type), 8
    if device.type != "cpu":
        return f"it is for a CPU, not for {device.type}", 8
    products = onnx_int8() if form.backend == "onnxruntime" else torch_int8()
    return products.problem, products.weight_bits
