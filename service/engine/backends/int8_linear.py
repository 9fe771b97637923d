"""A linear layer on oneDNN's int8 products: uint8 inputs, int8 weights, sums in int32.

Inputs are quantized with a scale for each of them that was found once on calibration rows, so that a text's
result does not depend on the texts that share its batch. As in SmoothQuant (Xiao et al., 2023), the scale is
shared out between an input and its column of the weights: layer norms leave a few inputs far larger than the
others, which one scale for all of them would round to nothing.

Weights have 8 bits, or 7 where the processor would overflow with more (`product_probes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model_store.network.fast_products import PACKED_FOR_TOKENS

_STEPS = 255
_HEADROOM = 1.1
"""Other texts go beyond what calibration rows hold, and what is cut off costs far more than coarser steps."""
_INPUT_SHARE = 0.65
"""How much of the unevenness of inputs the weights take over; measured on the packaged encoder."""


def largest_weight(bits: int) -> int:
    """Of signed weights, the same in both directions: 127 for 8 bits, 63 for 7."""
    return int(2 ** (bits - 1)) - 1


@dataclass(frozen=True, slots=True)
class InputRange:
    """Smallest and largest value of each input of a linear layer, (inputs) float32."""

    low: Tensor
    high: Tensor

    def joined(self, other: InputRange) -> InputRange:
        """The range of both."""
        return InputRange(torch.minimum(self.low, other.low), torch.maximum(self.high, other.high))

    @classmethod
    def of(cls, inputs: Tensor) -> InputRange:
        """Of (..., inputs)."""
        low, high = torch.aminmax(inputs.detach().float().flatten(0, -2), dim=0)
        return cls(low, high)


class Quantization:
    """From float to uint8 and what it means: value = (uint8 - zero point) * scale * share, share by input."""

    def __init__(self, found: InputRange, shares: Tensor | None) -> None:
        low, high = found.low, found.high
        if shares is not None:
            low, high = low / shares, high / shares
        smallest, largest = _HEADROOM * min(float(low.min()), 0.0), _HEADROOM * max(float(high.max()), 0.0)
        self.scale = max(largest - smallest, 1e-12) / _STEPS
        self.zero_point = round(-smallest / self.scale)
        # uint8(x) rounds down.
        self._offset = torch.tensor(self.zero_point + 0.5)
        self._factors = None if shares is None else 1 / (self.scale * shares)

    def __call__(self, inputs: Tensor) -> Tensor:
        """(..., inputs) to the same in uint8; what lies outside the range becomes its end."""
        inputs = inputs.float()
        if self._factors is None:
            found = torch.add(self._offset, inputs, alpha=1 / self.scale)
        else:
            found = torch.addcmul(self._offset, inputs, self._factors)
        return found.clamp_(0, _STEPS).to(torch.uint8)


class Int8Linear(nn.Module):
    """A `FastLinear` in int8, for inference on a CPU where `product_probes.torch_int8` has no problem.

    Args:
        weight: (outputs, inputs).
        bias: (outputs).
        found: of the inputs, from calibration rows.
        dtype: of the output.
        even: one scale for all inputs; needed where the product before it quantizes its own output.
        successor: how the layer after the activation quantizes: then `gelu` answers in uint8.
        weight_bits: with which products are exact on this processor.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        found: InputRange,
        *,
        dtype: torch.dtype = torch.float32,
        even: bool = False,
        successor: Quantization | None = None,
        weight_bits: int = 8,
    ) -> None:
        super().__init__()
        weight = weight.detach().float()
        shares = None if even else input_shares(weight, found)
        self.quantize = Quantization(found, shares)
        shared = weight if shares is None else weight * shares
        scales = shared.abs().amax(1).clamp_min(1e-12) / largest_weight(weight_bits)
        quantized = (shared / scales[:, None]).round().to(torch.int8)
        self._packed = packed_weight(quantized)
        self._scales, self._zero_points = scales, torch.zeros(len(scales), dtype=torch.int32)
        self._bias = torch.zeros(len(scales)) if bias is None else bias.detach().float()
        self._dtype = dtype
        self._successor = successor

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        return self._product(inputs, self._dtype, "none", 1.0, 0)

    def gelu(self, inputs: Tensor) -> Tensor:
        """GELU (exact, not the tanh form) of the layer's output, for the layer after it."""
        after = self._successor
        if after is None:
            return self._product(inputs, self._dtype, "gelu", 1.0, 0)
        return self._product(inputs, torch.uint8, "gelu", after.scale, after.zero_point)

    def added_to(self, residual: Tensor, inputs: Tensor) -> Tensor:
        """The layer's output for `inputs`, which may be quantized already, plus a residual (..., outputs)."""
        output: Tensor = torch.ops.onednn.qlinear_pointwise.binary(
            *self._operands(inputs),
            residual,
            self._bias,
            *(1.0, 0, self._dtype, 1.0, 0, "add", 1.0, "none", [], ""),
        )
        return output

    def _product(self, inputs: Tensor, dtype: torch.dtype, activation: str, scale: float, zero: int) -> Tensor:
        output: Tensor = torch.ops.onednn.qlinear_pointwise(
            *self._operands(inputs), self._bias, scale, zero, dtype, activation, [], "none"
        )
        return output

    def _operands(self, inputs: Tensor) -> tuple[Tensor, float, int, Tensor, Tensor, Tensor]:
        quantized = inputs if inputs.dtype == torch.uint8 else self.quantize(inputs)
        scale, zero_point = self.quantize.scale, self.quantize.zero_point
        return quantized, scale, zero_point, self._packed, self._scales, self._zero_points


def packed_weight(quantized: Tensor) -> Tensor:
    """(outputs, inputs) int8 laid out for oneDNN."""
    packed: Tensor = torch.ops.onednn.qlinear_prepack(quantized, [PACKED_FOR_TOKENS, quantized.shape[1]])
    return packed


def int8_product(inputs: Tensor, packed: Tensor, scales: Tensor) -> Tensor:
    """(rows, inputs) uint8 with packed weights, their sums times the outputs' scales in float32."""
    product: Tensor = torch.ops.onednn.qlinear_pointwise(
        *(inputs, 1.0, 0, packed, scales, torch.zeros(len(scales), dtype=torch.int32), None),
        *(1.0, 0, torch.float32, "none", [], "none"),
    )
    return product


def input_shares(weight: Tensor, found: InputRange) -> Tensor:
    """(inputs): what each input is divided by, and its column of the weights multiplied by."""
    inputs = torch.maximum(found.high, -found.low).clamp_min(1e-5)
    weights = weight.abs().amax(0).clamp_min(1e-5)
    shares: Tensor = inputs**_INPUT_SHARE / weights ** (1 - _INPUT_SHARE)
    return shares / shares.mean()
