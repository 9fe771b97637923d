"""The relevance network: a frozen multilingual encoder, adapters, fusion layers and heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from model_store.encoding.batch import LayerStates, TextBatch
from model_store.encoding.configuration import PairEncoding
from model_store.errors import ConfigurationError
from model_store.network.adapters import BottleneckAdapter, StackedAdapters
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.network.encoder_layers import EncoderLayers, TokenPacking, attention_bias
from model_store.network.fusion import AdapterFusion
from model_store.network.head import RelevanceHeads
from model_store.network.interaction import AttentionMaps, PairNetwork, Route


class RelevanceNetwork(PairNetwork):
    """Scores query-product pairs.

    Several fusion layers live side by side under different names, so that teacher and student share one
    encoder and one set of adapters.

    Raises:
        ConfigurationError: the paper's head with two towers (there is no joint first token), or `late(k)` or
            adapters with more layers than the encoder has.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        pair_encoding: PairEncoding,
        adapter: AdapterConfiguration,
        fusion: FusionConfiguration,
        head: HeadConfiguration,
    ) -> None:
        configuration = encoder.config
        super().__init__(
            pair_encoding, head, int(configuration.num_hidden_layers), int(configuration.hidden_size)
        )
        self.set_new_adapters(adapter)
        self.fusion_configuration = fusion
        self.encoder = EncoderLayers(encoder)
        self.adapters = nn.ModuleList(nn.ModuleDict() for _ in range(self.encoder.depth))
        self.fusions = nn.ModuleList(nn.ModuleDict() for _ in range(self.encoder.depth))
        self.heads = RelevanceHeads(head, self.encoder.hidden_size)
        self.encoder.requires_grad_(False)
        self.idle_layers = 0
        """How many of the lowest layers are run without their adapters: see `skip_idle_layers`."""

    def set_new_adapters(self, configuration: AdapterConfiguration) -> None:
        """Say how adapters that are added from now on are made.

        Raises:
            ConfigurationError: more layers than the encoder has.
        """
        if (configuration.layers or 1) > self.depth:
            raise ConfigurationError(
                f"adapter.layers is {configuration.layers}, and the encoder has {self.depth} layers"
            )
        self.adapter_configuration = configuration

    @property
    def lowest_trained_layer(self) -> int:
        """The layer from which on new adapters and fusions are trained."""
        return self.depth - (self.adapter_configuration.layers or self.depth)

    def add_adapter(self, name: str, start_from: str | None = None, bottleneck: int | None = None) -> None:
        """Add a new adapter to every layer: random, or a copy of an older one of the same width.

        Its width is the configuration's where `bottleneck` names none. A random one adds nothing in the layers
        below `lowest_trained_layer`.
        """
        width = bottleneck or self.adapter_configuration.bottleneck
        for number, layer in enumerate(self.adapters):
            assert isinstance(layer, nn.ModuleDict)
            adapter = BottleneckAdapter(self.encoder.hidden_size, width)
            if start_from is not None:
                adapter.load_state_dict(layer[start_from].state_dict())
            elif number < self.lowest_trained_layer:
                adapter.switch_off()
            layer[name] = adapter
        self.to(self.device)

    def skip_idle_layers(self) -> None:
        """From now on run the lowest layers, in which no adapter adds anything, as the encoder's own.

        Layers that a new adapter may change do not count as idle, so that the number stays the same while
        adapters are added. Nothing but time changes, as long as no adapter in them is trained or loaded.
        """
        self.idle_layers = 0
        for layer in self.adapters[: self.lowest_trained_layer]:
            assert isinstance(layer, nn.ModuleDict)
            if any(adapter.adds_something() for adapter in layer.values()):  # type: ignore[operator]
                break
            self.idle_layers += 1

    def add_fusion(self, name: str, start_from: str | None = None) -> None:
        """Add a new fusion layer to every layer: random, or a copy of an older one."""
        for layer in self.fusions:
            assert isinstance(layer, nn.ModuleDict)
            layer[name] = AdapterFusion(self.encoder.hidden_size, self.fusion_configuration.dropout)
            if start_from is not None:
                layer[name].load_state_dict(layer[start_from].state_dict())
        self.to(self.device)

    def remove_fusion(self, name: str) -> None:
        """Drop a fusion layer that no route needs any more."""
        for layer in self.fusions:
            assert isinstance(layer, nn.ModuleDict)
            del layer[name]

    @property
    def device(self) -> torch.device:
        """Where the encoder is."""
        return next(self.encoder.parameters()).device

    def adapter_modules(self, name: str) -> list[BottleneckAdapter]:
        """One adapter per layer, from the bottom."""
        return [layer[name] for layer in self.adapters]  # type: ignore[index]

    def fusion_modules(self, name: str) -> list[AdapterFusion]:
        """One fusion layer per encoder layer, from the bottom."""
        return [layer[name] for layer in self.fusions]  # type: ignore[index]

    def trained_adapter_modules(self, name: str) -> list[BottleneckAdapter]:
        """Those of an adapter that are trained."""
        return self.adapter_modules(name)[self.lowest_trained_layer :]

    def trained_fusion_modules(self, name: str) -> list[AdapterFusion]:
        """Those of a fusion that are trained."""
        return self.fusion_modules(name)[self.lowest_trained_layer :]

    def train_only(self, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
        """Freeze everything but the given parameters, and return these."""
        self.requires_grad_(False)
        trainable = list(parameters)
        for parameter in trainable:
            parameter.requires_grad_(True)
        return trainable

    def embed(self, texts: TextBatch) -> Tensor:
        """As in `PairNetwork`."""
        return self.encoder.embed(texts)

    def encode_texts(
        self, texts: TextBatch, route: Route, maps: AttentionMaps | None = None, layers: int | None = None
    ) -> Tensor:
        """As in `PairNetwork`; goes on from the texts' states where they have any."""
        states = texts.states
        if states is None:
            return super().encode_texts(texts, route, maps, layers)
        layout = _Layout.of(texts.mask, texts.padded)
        feed_forward, attended = layout.packed(states.feed_forward), layout.packed(states.attended)
        hidden = self._closed(LayerStates(states.layer, feed_forward, attended), layout, route, maps)
        last = self.depth if layers is None else layers
        return self._run(hidden, layout, route, maps, range(states.layer + 1, last))

    def frozen_states(self, texts: TextBatch) -> LayerStates:
        """What no training of adapters changes: the texts just before the lowest adapters that are not idle."""
        layer = self.idle_layers
        hidden = self.run_layers(self.embed(texts), texts.mask, texts.padded, Route(), None, last=layer)
        bias = attention_bias(texts.mask, texts.padded)
        return LayerStates(layer, *self.encoder.sublayers(layer, hidden, bias))

    def run_layers(
        self,
        hidden: Tensor,
        mask: Tensor,
        padded: bool,
        route: Route,
        maps: AttentionMaps | None,
        first: int = 0,
        last: int | None = None,
    ) -> Tensor:
        """As in `PairNetwork`."""
        layout = _Layout.of(mask, padded)
        layers = range(first, self.depth if last is None else last)
        return self._run(layout.packed(hidden), layout, route, maps, layers)

    def _run(
        self, hidden: Tensor, layout: _Layout, route: Route, maps: AttentionMaps | None, layers: range
    ) -> Tensor:
        for number in layers:
            sublayers = self.encoder.sublayers(number, hidden, layout.bias, packing=layout.packing)
            hidden = self._closed(LayerStates(number, *sublayers), layout, route, maps)
        return layout.unpacked(hidden)

    def _closed(self, states: LayerStates, layout: _Layout, route: Route, maps: AttentionMaps | None) -> Tensor:
        adapted, log_attention = self._adapt(states.layer, states.feed_forward, states.attended, route)
        if maps is not None and log_attention is not None:
            maps.append(layout.unpacked(log_attention), layout.mask)
        return self.encoder.normalise(states.layer, adapted + states.attended)

    def _adapt(
        self, number: int, feed_forward: Tensor, attended: Tensor, route: Route
    ) -> tuple[Tensor, Tensor | None]:
        """What adapters and fusion make of it, and the logarithm of their attention where any are active."""
        if not route.adapters or number < self.idle_layers:
            return feed_forward, None
        query = self.encoder.normalise(number, feed_forward + attended)
        adapters = self.adapters[number]
        assert isinstance(adapters, nn.ModuleDict)
        if route.fusion is None:
            output: Tensor = adapters[route.adapters[0]](query)
            # one adapter alone has all the attention
            return output + feed_forward, output.new_zeros(*query.shape[:-1], 1)
        stacked = StackedAdapters.of([adapters[name] for name in route.adapters])  # type: ignore[misc]
        fusions = self.fusions[number]
        assert isinstance(fusions, nn.ModuleDict)
        return fusions[route.fusion](query, feed_forward, stacked)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a batch's tokens are: with the padding, or packed."""

    mask: Tensor  # (texts, tokens) bool, False at padding
    bias: Tensor | None
    packing: TokenPacking | None

    @classmethod
    def of(cls, mask: Tensor, padded: bool) -> _Layout:
        return cls(mask, attention_bias(mask, padded), TokenPacking.of(mask, padded))

    def packed(self, padded: Tensor) -> Tensor:
        return self.packing.pack(padded) if self.packing else padded

    def unpacked(self, packed: Tensor) -> Tensor:
        return self.packing.unpack(packed) if self.packing else packed


def parameter_count(parameters: Sequence[nn.Parameter]) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in parameters)
