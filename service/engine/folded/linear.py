"""A linear layer on the fastest product that torch has on this machine.

On a CPU `torch.nn.functional.linear` in float32 goes to MKL, which on processors that are not Intel's leaves
half of the machine idle; oneDNN, which torch has as well, does not, takes the activation or the residual along,
and can lay out the weights once instead of at every call (measured: docs/log.md). All of them are exact
float32 products.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_store.network.fast_products import PACKED_FOR_TOKENS, onednn_problem


class FastLinear(nn.Linear):
    """`nn.Linear` for inference, on a CPU by oneDNN where torch was built with it."""

    watch: Callable[[Tensor], None] | None = None
    """Called with every input, (..., inputs)."""
    _packed: Tensor | None = None

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> FastLinear:
        """A layer with these weights, (outputs, inputs) and (outputs), copied."""
        linear = cls(weight.shape[1], weight.shape[0], bias=bias is not None, device=weight.device)
        with torch.no_grad():
            linear.weight.copy_(weight)
            if bias is not None:
                linear.bias.copy_(bias)
        return linear

    def pack(self) -> None:
        """Lay out the weights for oneDNN and drop the plain ones; nothing happens where it does not work."""
        if self._packed is not None or self.weight.device.type != "cpu":
            return
        if onednn_problem(self.weight.dtype) is None:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), PACKED_FOR_TOKENS)
            self.register_parameter("weight", None)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the base class's name
        """(..., inputs) to (..., outputs)."""
        self._watched(input)
        if self._packed is None:
            return functional.linear(input, self.weight, self.bias)
        output: Tensor = torch.ops.mkldnn._linear_pointwise(input, self._packed, self.bias, "none", [], "")
        return output

    def gelu(self, hidden: Tensor) -> Tensor:
        """GELU (exact, not the tanh form) of the layer's output."""
        self._watched(hidden)
        if self._packed is None:
            return functional.gelu(functional.linear(hidden, self.weight, self.bias))
        output: Tensor = torch.ops.mkldnn._linear_pointwise(hidden, self._packed, self.bias, "gelu", [], "none")
        return output

    def added_to(self, residual: Tensor, hidden: Tensor) -> Tensor:
        """The layer's output for `hidden`, plus a residual (..., outputs)."""
        self._watched(hidden)
        if self._packed is None:
            return functional.linear(hidden, self.weight, self.bias).add_(residual)
        pointwise = torch.ops.mkldnn._linear_pointwise.binary
        output: Tensor = pointwise(hidden, residual, self._packed, self.bias, "add")
        return output

    def _watched(self, inputs: Tensor) -> None:
        if self.watch is not None:
            self.watch(inputs)
