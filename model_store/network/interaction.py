"""How a query and a product meet: the three interactions, over any encoder with adapters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from model_store.encoding.batch import PRODUCT_SEGMENT, QUERY_SEGMENT, JointBatch, PairBatch, TextBatch
from model_store.encoding.configuration import PairEncoding
from model_store.errors import ConfigurationError
from model_store.network.configuration import HeadConfiguration
from model_store.network.head import RelevanceHeads, similarity_features


@dataclass(frozen=True, slots=True)
class Route:
    """Which adapters are active: none, one alone, or several under a named fusion layer."""

    adapters: tuple[str, ...] = ()
    fusion: str | None = None


@dataclass(slots=True)
class AttentionMaps:
    """Fusion attention of a forward pass: one entry per layer and text batch."""

    log_attention: list[Tensor] = field(default_factory=list)  # each (texts, tokens, T), anything at padding
    masks: list[Tensor] = field(default_factory=list)  # each (texts, tokens) bool, False at padding

    def append(self, log_attention: Tensor, mask: Tensor) -> None:
        """Note one layer's attention over one text batch."""
        self.log_attention.append(log_attention)
        self.masks.append(mask)


class PairNetwork(nn.Module, ABC):
    """Pair features and logits over layers that a subclass runs: the plain network, or the folded one.

    Raises:
        ConfigurationError: the paper's head with two towers (there is no joint first token), or `late(k)`
            with more joint layers than the encoder has.
    """

    heads: RelevanceHeads

    def __init__(
        self, pair_encoding: PairEncoding, head: HeadConfiguration, depth: int, hidden_size: int
    ) -> None:
        super().__init__()
        _check(pair_encoding, head, depth)
        self.pair_encoding = pair_encoding
        self.depth = depth
        self.hidden_size = hidden_size

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the weights are."""

    @abstractmethod
    def embed(self, texts: TextBatch) -> Tensor:
        """Embeddings, (texts, tokens, hidden)."""

    @abstractmethod
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
        """Hidden states after the layers from `first` to before `last` (all by default).

        Args:
            mask: (texts, tokens) bool, False at padding; `padded` tells whether there is any.
        """

    def forward(self, batch: PairBatch, route: Route, maps: AttentionMaps | None = None) -> Tensor:
        """Logits (batch) of the pairs; the fusion's attention is appended to `maps` where given."""
        return self.heads(self.pair_features(batch, route, maps), batch.head_index)  # type: ignore[no-any-return]

    def pair_features(self, batch: PairBatch, route: Route, maps: AttentionMaps | None = None) -> Tensor:
        """(batch, features): what the head sees."""
        if isinstance(batch, JointBatch):
            texts = batch.texts
            hidden = self.run_layers(self.embed(texts), texts.mask, texts.padded, route, maps)
            return self.joint_features(hidden, texts.mask, texts.segments, route)
        lower = self.depth - self.pair_encoding.joint_layers
        queries = self.encode_texts(batch.queries, route, maps, lower)
        products = self.encode_texts(batch.products, route, maps, lower)
        if self.pair_encoding.kind == "two_tower":
            query_means = self.pool(queries, batch.queries.mask, route)[batch.query_index]
            product_means = self.pool(products, batch.products.mask, route)[batch.product_index]
            return similarity_features(query_means, product_means)
        hidden = torch.cat([queries[batch.query_index], products[batch.product_index]], dim=1)
        mask = torch.cat([batch.queries.mask[batch.query_index], batch.products.mask[batch.product_index]], dim=1)
        segments = torch.cat(
            [batch.queries.segments[batch.query_index], batch.products.segments[batch.product_index]], dim=1
        )
        hidden = self.run_layers(hidden, mask, True, route, maps, first=lower)
        return self.joint_features(hidden, mask, segments, route)

    def encode_texts(
        self, texts: TextBatch, route: Route, maps: AttentionMaps | None = None, layers: int | None = None
    ) -> Tensor:
        """Hidden states (texts, tokens, hidden) after the first `layers` layers, each text seeing itself."""
        return self.run_layers(self.embed(texts), texts.mask, texts.padded, route, maps, last=layers)

    def text_means(self, texts: TextBatch, route: Route) -> Tensor:
        """Token means (texts, hidden): all that the two-tower head needs of a text."""
        return self.pool(self.encode_texts(texts, route), texts.mask, route)

    def joint_features(self, hidden: Tensor, mask: Tensor, segments: Tensor, route: Route) -> Tensor:
        """(pairs, features) of joint hidden states (pairs, tokens, hidden), with their mask and segments."""
        configuration = self.heads.configuration
        if configuration.kind == "similarity":
            return similarity_features(
                self.pool(hidden, segments == QUERY_SEGMENT, route),
                self.pool(hidden, segments == PRODUCT_SEGMENT, route),
            )
        return self.pool(hidden, mask, route, first_token=configuration.pooling == "first_token")

    def pool(self, hidden: Tensor, mask: Tensor, route: Route, first_token: bool = False) -> Tensor:  # noqa: ARG002
        """(texts, hidden): mean of the tokens in the mask, or the first token; a subclass may use the route."""
        if first_token:
            return hidden[:, 0]
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
