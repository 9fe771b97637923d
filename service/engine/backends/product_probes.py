"""Which products work on this machine: tried once, on small numbers of which the right result is known.

Processors without VNNI add up pairs of uint8 by int8 products in 16 bits, where two large ones overflow. With
weights of 7 bits they never do: 2 * 255 * 63 < 32,768. Names and flags of processors are not asked: libraries
choose by more than those.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model_store.network.fast_products import onednn_problem
from service.engine.backends.int8_linear import (
    InputRange,
    Int8Linear,
    int8_product,
    largest_weight,
    packed_weight,
)
from service.engine.folded.linear import FastLinear

WeightBits = Literal[7, 8]

_ROWS = (1, 16, 100)
"""Libraries have several kernels, and choose one by the number of rows."""
_INPUTS, _OUTPUTS = 96, 64
_LARGEST_INPUT = 255
_NEAR = 0.05


@dataclass(frozen=True, slots=True)
class Int8Products:
    """Products of uint8 by int8: the bits of weights with which they are exact, or what is wrong with them."""

    weight_bits: WeightBits = 8
    problem: str | None = None


def bf16_problem(device_type: str) -> str | None:
    """What torch lacks to serve in bf16; None where it works."""
    if device_type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if native else "this GPU does not multiply bf16"
    return onednn_problem(torch.bfloat16)


def onnx_problem() -> str | None:
    """What is missing to make and run ONNX graphs."""
    missing = [package for package in ("onnx", "onnxruntime") if find_spec(package) is None]
    return f"not installed, pip install {' '.join(missing)}" if missing else None


@functools.cache
def torch_int8() -> Int8Products:
    """Of torch, by oneDNN."""
    try:
        bits = _exact_bits(_torch_product)
        if bits is None:
            return Int8Products(problem="torch's int8 products are wrong on this processor")
        if not _layers_work(bits):
            return Int8Products(problem="torch's int8 products with activation or residual are wrong here")
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        # Another version or build of torch, without these operators.
        return Int8Products(problem=f"torch has no int8 products here ({_first_line(error)})")
    return Int8Products(bits)


@functools.cache
def onnx_int8() -> Int8Products:
    """Of ONNX Runtime, in the operator that its graphs have; `onnx_problem` is asked before."""
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    from service.engine.backends.onnx_graph import integer_product

    try:
        bits = _exact_bits(integer_product)
    except (runtime.Fail, runtime.InvalidGraph, runtime.NotImplemented, runtime.RuntimeException) as error:
        return Int8Products(problem=f"ONNX Runtime has no int8 products here ({_first_line(error)})")
    if bits is None:
        return Int8Products(problem="ONNX Runtime's int8 products are wrong on this processor")
    return Int8Products(bits)


def _exact_bits(product: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> WeightBits | None:
    """The most bits of weights, (inputs, outputs) int8, whose products with the largest inputs are exact."""
    sizes: tuple[WeightBits, ...] = (8, 7)
    return next((bits for bits in sizes if _is_exact(product, largest_weight(bits))), None)


def _is_exact(product: Callable[[np.ndarray, np.ndarray], np.ndarray], largest: int) -> bool:
    weights = np.full((_INPUTS, _OUTPUTS), largest, dtype=np.int8)
    weights[:, 1::2] = -largest
    expected = _INPUTS * _LARGEST_INPUT * weights[0].astype(np.float64)
    return all(
        np.allclose(product(np.full((rows, _INPUTS), _LARGEST_INPUT, np.uint8), weights), expected, rtol=1e-6)
        for rows in _ROWS
    )


def _torch_product(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    packed = packed_weight(torch.from_numpy(np.ascontiguousarray(weights.T)))
    found: Tensor = int8_product(torch.from_numpy(inputs), packed, torch.ones(weights.shape[1]))
    return found.numpy()


def _layers_work(bits: WeightBits) -> bool:
    """Whether a feed-forward of two layers, the first of which answers in uint8, is near its float32 form."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(_ROWS[-1], _INPUTS, generator=generator)
    wide, narrow = (
        torch.randn(*size, generator=generator) for size in ((_OUTPUTS, _INPUTS), (_INPUTS, _OUTPUTS))
    )
    widened = functional.gelu(functional.linear(hidden, wide))
    after = Int8Linear(narrow, None, InputRange.of(widened), even=True, weight_bits=bits)
    before = Int8Linear(wide, None, InputRange.of(hidden), successor=after.quantize, weight_bits=bits)
    expected = FastLinear.of(narrow, None).added_to(hidden, widened)
    found = after.added_to(hidden, before.gelu(hidden))
    return bool((found - expected).pow(2).mean().sqrt() < _NEAR * expected.std())


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
