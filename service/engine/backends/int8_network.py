"""The folded network with the products of its layers in int8; all else as in `FoldedNetwork`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from model_store.network.fast_products import bf16_is_faster
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from service.engine.backends.int8_linear import InputRange, Int8Linear
from service.engine.folded.linear import FastLinear
from service.engine.folded.network import FeedForward, FoldedEncoderLayer, FoldedNetwork

InputRanges = Mapping[str, InputRange]
"""By the name of the linear layer among the network's layers, as `3.feed_forward.narrow`."""

LARGE_UNITS = 32
"""Hidden units of a feed-forward that stay in float32."""


class Int8Network(FoldedNetwork):
    """Scores nearly as the network that it is folded from.

    Args:
        ranges: what `watched_inputs` found of the folded network in float32 on calibration rows.
        weight_bits: with which products are exact on this processor.
        layers: as in `FoldedNetwork`.
    """

    def __init__(
        self,
        network: RelevanceNetwork,
        route: Route,
        ranges: InputRanges,
        *,
        weight_bits: int = 8,
        layers: int | None = None,
    ) -> None:
        super().__init__(network, route, layers=layers)
        for number, layer in enumerate(self.encoder_layers):
            _quantize(layer, {name: ranges[f"{number}.{name}"] for name in _linears(layer)}, weight_bits)
        self.pack()


@contextmanager
def watched_inputs(network: FoldedNetwork) -> Iterator[dict[str, InputRange]]:
    """The ranges of the inputs of all linear layers while it lasts; filled as the network runs."""
    ranges: dict[str, InputRange] = {}

    def note(name: str, inputs: Tensor) -> None:
        found = InputRange.of(inputs)
        ranges[name] = found.joined(ranges[name]) if name in ranges else found

    linears = {
        f"{number}.{name}": linear
        for number, layer in enumerate(network.encoder_layers)
        for name, linear in _linears(layer).items()
    }
    for name, linear in linears.items():
        linear.watch = partial(note, name)
    try:
        yield ranges
    finally:
        for linear in linears.values():
            linear.watch = None


def ranges_as_file(ranges: InputRanges) -> bytes:
    """As safetensors: for each layer (2, inputs), lows and highs."""
    return save({name: torch.stack([item.low, item.high]) for name, item in ranges.items()})


def ranges_of_file(content: bytes) -> dict[str, InputRange]:
    """The other way round."""
    return {name: InputRange(*stacked) for name, stacked in load(content).items()}


class Int8FeedForward(nn.Module):
    """As `FeedForward`, in int8 but for the few hidden units that get far larger than all others.

    Those of pretrained encoders reach 30 times the median; one scale for all would leave the others three bits.
    """

    def __init__(
        self, plain: FeedForward, wide_range: InputRange, narrow_range: InputRange, weight_bits: int
    ) -> None:
        super().__init__()
        wide, narrow = plain.wide, plain.narrow
        large, others = units_by_size(narrow_range)
        self.narrow = Int8Linear(
            narrow.weight[:, others],
            narrow.bias,
            InputRange(narrow_range.low[others], narrow_range.high[others]),
            even=True,
            weight_bits=weight_bits,
        )
        successor = self.narrow.quantize
        self.wide = Int8Linear(
            wide.weight[others], wide.bias[others], wide_range, successor=successor, weight_bits=weight_bits
        )
        self.large_wide = FastLinear.of(wide.weight[large], wide.bias[large])
        self.large_narrow = FastLinear.of(narrow.weight[:, large], None)
        self.activation, self._is_gelu = plain.activation, plain.is_gelu

    def forward(self, attended: Tensor) -> Tensor:
        """attended + narrow(activation(wide(attended))), (texts, tokens, hidden)."""
        if self._is_gelu:
            large, widened = self.large_wide.gelu(attended), self.wide.gelu(attended)
        else:
            large, widened = self.activation(self.large_wide(attended)), self.activation(self.wide(attended))
        return self.narrow.added_to(self.large_narrow.added_to(attended, large), widened)


def units_by_size(found: InputRange) -> tuple[Tensor, Tensor]:
    """Places of the hidden units that get largest, by the ranges of `narrow`'s inputs, and of all others."""
    sizes = torch.maximum(found.high, -found.low)
    count = min(LARGE_UNITS, len(sizes) // 8)
    places = sizes.argsort(descending=True, stable=True)
    return places[:count].sort().values, places[count:].sort().values


def _linears(layer: FoldedEncoderLayer) -> dict[str, FastLinear]:
    return {name: module for name, module in layer.named_modules() if isinstance(module, FastLinear)}


def _quantize(layer: FoldedEncoderLayer, ranges: InputRanges, weight_bits: int) -> None:
    plain = layer.feed_forward
    assert isinstance(plain, FeedForward)
    # Attention over the tokens is computed in the type that it is given.
    attention = torch.bfloat16 if bf16_is_faster("cpu") else torch.float32
    for name, linear in layer.named_children():
        if isinstance(linear, FastLinear):
            dtype = attention if name == "projection" else torch.float32
            quantized = Int8Linear(linear.weight, linear.bias, ranges[name], dtype=dtype, weight_bits=weight_bits)
            setattr(layer, name, quantized)
    wide, narrow = ranges["feed_forward.wide"], ranges["feed_forward.narrow"]
    layer.feed_forward = Int8FeedForward(plain, wide, narrow, weight_bits)
