"""Whether this machine computes in bf16 faster than in float32."""

from __future__ import annotations

import functools
import time

import torch


@functools.cache
def bf16_is_faster(device_type: str | None = None) -> bool:
    """Whether a device multiplies bf16 matrices natively: on a CPU measured, since emulation also exists.

    Args:
        device_type: `cpu` or `cuda`; by default a GPU where there is one.
    """
    if device_type != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _product_seconds(torch.bfloat16) < 0.6 * _product_seconds(torch.float32)


def _product_seconds(dtype: torch.dtype) -> float:
    left, right = torch.ones(256, 384, dtype=dtype), torch.ones(1536, 384, dtype=dtype)
    times = []
    for _ in range(12):
        started = time.perf_counter()
        torch.nn.functional.linear(left, right)
        times.append(time.perf_counter() - started)
    return min(times)
