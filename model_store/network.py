"""The relevance network: a frozen multilingual encoder, adapters, fusion layers and heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from model_store.adapter_layer import BottleneckAdapter, StackedAdapters
from model_store.encoder_layers import EncoderLayers, attention_bias
from model_store.errors import ConfigurationError
from model_store.fusion_layer import AdapterFusion
from model_store.network_configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.pair_batch import PRODUCT_SEGMENT, QUERY_SEGMENT, PairBatch, TextBatch
from model_store.pair_encoding import PairEncoding
from model_store.relevance_head import RelevanceHeads, similarity_features


@dataclass(frozen=True, slots=True)
class Route:
    """Which adapters are active: none, one alone, or several under a named fusion layer."""

    adapters: tuple[str, ...] = ()
    fusion: str | None = None


@dataclass(slots=True)
class AttentionMaps:
    """Fusion attention of a forward pass: one entry per layer and text batch."""

    log_attention: list[Tensor] = field(default_factory=list)  # each (texts, tokens, T)
    masks: list[Tensor] = field(default_factory=list)  # each (texts, tokens) bool, False at padding

    def append(self, log_attention: Tensor, mask: Tensor) -> None:
        """Note one layer's attention over one text batch."""
        self.log_attention.append(log_attention)
        self.masks.append(mask)


class RelevanceNetwork(nn.Module):
    """Scores query-product pairs.

    Several fusion layers live side by side under different names, so that teacher and student share one
    encoder and one set of adapters.

    Raises:
        ConfigurationError: the paper's head with two towers (there is no joint first token), or `late(k)`
            with more joint layers than the encoder has.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        pair_encoding: PairEncoding,
        adapter: AdapterConfiguration,
        fusion: FusionConfiguration,
        head: HeadConfiguration,
    ) -> None:
        super().__init__()
        _check(pair_encoding, head, int(encoder.config.num_hidden_layers))
        self.pair_encoding = pair_encoding
        self.adapter_configuration = adapter
        self.fusion_configuration = fusion
        self.encoder = EncoderLayers(encoder)
        self.adapters = nn.ModuleList(nn.ModuleDict() for _ in range(self.encoder.depth))
        self.fusions = nn.ModuleList(nn.ModuleDict() for _ in range(self.encoder.depth))
        self.heads = RelevanceHeads(head, self.encoder.hidden_size)
        self.encoder.requires_grad_(False)

    def add_adapter(self, name: str, start_from: str | None = None, bottleneck: int | None = None) -> None:
        """Add a new adapter to every layer: random, or a copy of an older one of the same width.

        Its width is the configuration's where `bottleneck` names none.
        """
        width = bottleneck or self.adapter_configuration.bottleneck
        for layer in self.adapters:
            assert isinstance(layer, nn.ModuleDict)
            layer[name] = BottleneckAdapter(self.encoder.hidden_size, width)
            if start_from is not None:
                layer[name].load_state_dict(layer[start_from].state_dict())
        self.to(self.device)

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

    def train_only(self, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
        """Freeze everything but the given parameters, and return these."""
        self.requires_grad_(False)
        trainable = list(parameters)
        for parameter in trainable:
            parameter.requires_grad_(True)
        return trainable

    def forward(self, batch: PairBatch, route: Route, maps: AttentionMaps | None = None) -> Tensor:
        """Logits (batch) of the pairs; the fusion's attention is appended to `maps` where given."""
        return self.heads(self.pair_features(batch, route, maps), batch.head_index)  # type: ignore[no-any-return]

    def pair_features(self, batch: PairBatch, route: Route, maps: AttentionMaps | None = None) -> Tensor:
        """(batch, features): what the head sees."""
        kind = self.pair_encoding.kind
        if kind == "cross":
            assert batch.joint is not None
            hidden = self._run(self.encoder.embed(batch.joint), batch.joint.mask, batch.joint.padded, route, maps)
            return self._joint_features(hidden, batch.joint.mask, batch.joint.segments)
        assert batch.queries is not None
        assert batch.products is not None
        assert batch.query_index is not None
        assert batch.product_index is not None
        lower = self.encoder.depth - self.pair_encoding.joint_layers
        queries = self.encode_texts(batch.queries, route, maps, lower)
        products = self.encode_texts(batch.products, route, maps, lower)
        if kind == "two_tower":
            query_means = _masked_mean(queries, batch.queries.mask)[batch.query_index]
            product_means = _masked_mean(products, batch.products.mask)[batch.product_index]
            return similarity_features(query_means, product_means)
        hidden = torch.cat([queries[batch.query_index], products[batch.product_index]], dim=1)
        mask = torch.cat([batch.queries.mask[batch.query_index], batch.products.mask[batch.product_index]], dim=1)
        segments = torch.cat(
            [batch.queries.segments[batch.query_index], batch.products.segments[batch.product_index]], dim=1
        )
        hidden = self._run(hidden, mask, True, route, maps, first=lower)
        return self._joint_features(hidden, mask, segments)

    def encode_texts(
        self, texts: TextBatch, route: Route, maps: AttentionMaps | None = None, layers: int | None = None
    ) -> Tensor:
        """Hidden states (texts, tokens, hidden) after the first `layers` layers, each text seeing itself."""
        return self._run(self.encoder.embed(texts), texts.mask, texts.padded, route, maps, last=layers)

    def text_means(self, texts: TextBatch, route: Route) -> Tensor:
        """Token means (texts, hidden): all that the two-tower head needs of a text."""
        return _masked_mean(self.encode_texts(texts, route), texts.mask)

    def _run(
        self,
        hidden: Tensor,
        mask: Tensor,
        padded: bool,
        route: Route,
        maps: AttentionMaps | None,
        first: int = 0,
        last: int | None = None,
    ) -> Tensor:
        bias = attention_bias(mask, padded)
        for number in range(first, self.encoder.depth if last is None else last):
            feed_forward, attended = self.encoder.sublayers(number, hidden, bias)
            adapted = self._adapt(number, feed_forward, attended, route, mask, maps)
            hidden = self.encoder.normalise(number, adapted + attended)
        return hidden

    def _adapt(
        self,
        number: int,
        feed_forward: Tensor,
        attended: Tensor,
        route: Route,
        mask: Tensor,
        maps: AttentionMaps | None,
    ) -> Tensor:
        if not route.adapters:
            return feed_forward
        query = self.encoder.normalise(number, feed_forward + attended)
        adapters = self.adapters[number]
        assert isinstance(adapters, nn.ModuleDict)
        if route.fusion is None:
            output: Tensor = adapters[route.adapters[0]](query)
            if maps is not None:  # one adapter alone has all the attention
                maps.append(output.new_zeros(*mask.shape, 1), mask)
            return output + feed_forward
        stacked = StackedAdapters.of([adapters[name] for name in route.adapters])  # type: ignore[misc]
        fusions = self.fusions[number]
        assert isinstance(fusions, nn.ModuleDict)
        mixed, log_attention = fusions[route.fusion](query, feed_forward, stacked)
        if maps is not None:
            maps.append(log_attention, mask)
        return mixed  # type: ignore[no-any-return]

    def _joint_features(self, hidden: Tensor, mask: Tensor, segments: Tensor) -> Tensor:
        configuration = self.heads.configuration
        if configuration.kind == "similarity":
            return similarity_features(
                _masked_mean(hidden, segments == QUERY_SEGMENT),
                _masked_mean(hidden, segments == PRODUCT_SEGMENT),
            )
        return hidden[:, 0] if configuration.pooling == "first_token" else _masked_mean(hidden, mask)


def parameter_count(parameters: Sequence[nn.Parameter]) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in parameters)


def _masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp_min(1.0)


def _check(pair_encoding: PairEncoding, head: HeadConfiguration, layers: int) -> None:
    if head.kind == "linear" and pair_encoding.kind == "two_tower":
        raise ConfigurationError(
            "the linear head needs a sequence that holds both texts: use interaction 'cross' or 'late(k)', "
            "or head kind 'similarity'"
        )
    if pair_encoding.joint_layers > layers:
        raise ConfigurationError(
            f"interaction {pair_encoding.interaction!r} asks for more joint layers than the encoder's {layers}"
        )
