"""Whether this machine multiplies int8 matrices rightly, and faster than bf16 and float32."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

_ROWS, _INPUTS, _OUTPUTS = 256, 384, 1536
_FASTER = 0.7


@functools.cache
def int8_is_faster() -> bool:
    """Whether torch's products of uint8 by int8 are exact here and take at most 0.7 of the time of others.

    Processors without VNNI either lack them or add up pairs of products in 16 bits, which overflows.
    """
    if not int8_is_exact():
        return False
    int8 = _seconds(_int8_product())
    return int8 < _FASTER * min(_seconds(_product(dtype)) for dtype in (torch.float32, torch.bfloat16))


@functools.cache
def int8_is_exact() -> bool:
    """Whether the products are exact on the largest numbers there are; False where torch has none."""
    left = torch.full((16, 64), 255, dtype=torch.uint8)
    right = torch.full((32, 64), 127, dtype=torch.int8)
    try:
        found = _multiplied(left, _packed(right), 32)
    except (AttributeError, NotImplementedError, RuntimeError):
        # Another version or build of torch, without these operators.
        return False
    return bool((found == 64 * 255 * 127).all())


def _int8_product() -> Callable[[], Tensor]:
    left = torch.ones(_ROWS, _INPUTS, dtype=torch.uint8)
    packed = _packed(torch.ones(_OUTPUTS, _INPUTS, dtype=torch.int8))
    return lambda: _multiplied(left, packed, _OUTPUTS)


def _product(dtype: torch.dtype) -> Callable[[], Tensor]:
    left, right = torch.ones(_ROWS, _INPUTS, dtype=dtype), torch.ones(_OUTPUTS, _INPUTS, dtype=dtype)
    return lambda: functional.linear(left, right)


def _packed(right: Tensor) -> Tensor:
    packed: Tensor = torch.ops.onednn.qlinear_prepack(right, [_ROWS, right.shape[1]])
    return packed


def _multiplied(left: Tensor, packed: Tensor, outputs: int) -> Tensor:
    scales, zero_points = torch.ones(outputs), torch.zeros(outputs, dtype=torch.int32)
    product: Tensor = torch.ops.onednn.qlinear_pointwise(
        left, 1.0, 0, packed, scales, zero_points, None, 1.0, 0, torch.float32, "none", [], "none"
    )
    return product


@torch.inference_mode()
def _seconds(product: Callable[[], Tensor]) -> float:
    times = []
    for _ in range(12):
        started = time.perf_counter()
        product()
        times.append(time.perf_counter() - started)
    return min(times)
