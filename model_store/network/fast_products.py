"""Fast products for a CPU: exact float32 linear layers on oneDNN, and whether bf16 is faster here.

`torch.nn.functional.linear` goes to MKL, which on processors that are not Intel's leaves half of the machine
idle (measured: docs/log.md).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


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


class FastProducts(TorchFunctionMode):
    """While it lasts, linear layers that no gradient goes through are computed by oneDNN where torch has it."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Take `linear` to oneDNN, everything else to torch."""
        if func is functional.linear and not kwargs and _is_plain(args[0]) and _ONEDNN_WORKS:
            return _linear(*args)
        return func(*args, **(kwargs or {}))


def _is_plain(hidden: Tensor) -> bool:
    in_float32 = hidden.dtype == torch.float32 and not torch.is_autocast_enabled(hidden.device.type)
    return in_float32 and hidden.device.type == "cpu" and not torch.is_grad_enabled()


def _linear(hidden: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    output: Tensor = torch.ops.mkldnn._linear_pointwise(hidden, weight, bias, "none", [], "")
    return output


PACKED_FOR_TOKENS = 512
"""Rows for which weights are laid out; the layout is as good for any number from 64 on."""


@functools.cache
def onednn_problem(dtype: torch.dtype) -> str | None:
    """What keeps oneDNN's products of this type from working on this machine; None where they work.

    Another version or build of torch has no such operators, and not every processor has all types. The public
    functions then give the same numbers.
    """
    hidden, weight = torch.ones(2, 3, dtype=dtype), torch.ones(4, 3, dtype=dtype)
    bias, pointwise = torch.ones(4, dtype=dtype), torch.ops.mkldnn._linear_pointwise
    try:
        plain = pointwise(hidden, weight, bias, "none", [], "")
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, PACKED_FOR_TOKENS)
        found = pointwise(hidden, packed, bias, "none", [], "")
        activated = pointwise(hidden, packed, bias, "gelu", [], "none")
        added = pointwise.binary(hidden, found, packed, bias, "add")
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        return str(error).partition("\n")[0]
    near = (activated - functional.gelu(found)).abs() < 0.05
    right = (plain == 4) & (found == 4) & near & (added == 8)
    return None if bool(right.all()) else f"oneDNN's {dtype} products are wrong here"


_ONEDNN_WORKS = onednn_problem(torch.float32) is None
