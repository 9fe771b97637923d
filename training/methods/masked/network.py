"""A frozen encoder with adapters in two places of every layer, which are told the marketplace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from model_store.encoding.batch import TextBatch
from model_store.encoding.configuration import PairEncoding
from model_store.network.configuration import HeadConfiguration
from model_store.network.encoder_layers import EncoderLayers, attention_bias
from model_store.network.head import RelevanceHeads
from model_store.network.interaction import AttentionMaps, PairNetwork, Route
from training.methods.masked.adapter import MaskedAdapter


class TaskNetwork(PairNetwork):
    """Scores pairs through adapters after the attention and after the feed-forward sub-layer.

    `Route((marketplace,))` tells the task; `Route()` is the encoder alone.

    Args:
        new_adapter: makes the adapter of one place.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        pair_encoding: PairEncoding,
        head: HeadConfiguration,
        new_adapter: Callable[[], MaskedAdapter],
    ) -> None:
        layers = EncoderLayers(encoder)
        super().__init__(pair_encoding, head, layers.depth, layers.hidden_size)
        self.encoder = layers
        self.after_attention = nn.ModuleList(new_adapter() for _ in range(layers.depth))
        self.after_feed_forward = nn.ModuleList(new_adapter() for _ in range(layers.depth))
        self.heads = RelevanceHeads(head, layers.hidden_size)
        self.scale: float | None = None
        """Of the masks: None for binary ones, as in all scoring."""
        self.requires_grad_(False)

    def add_task(self, task: str) -> None:
        """Room for a new marketplace in every place, and a head of its name."""
        for adapter in self.adapters():
            adapter.add_task(task)
        self.heads.add(task)
        self.to(self.device)

    def adapters(self) -> Iterator[MaskedAdapter]:
        """All places, from the bottom, those after attention first."""
        for adapter in (*self.after_attention, *self.after_feed_forward):
            assert isinstance(adapter, MaskedAdapter)
            yield adapter

    @contextmanager
    def masks_at(self, scale: float) -> Iterator[None]:
        """Annealed masks meanwhile, and gates that are drawn: training."""
        self.scale = scale
        try:
            yield
        finally:
            self.scale = None

    def train_only(self, parameters: Iterable[nn.Parameter]) -> None:
        """Freeze everything but the given parameters."""
        self.requires_grad_(False)
        for parameter in parameters:
            parameter.requires_grad_(True)

    @property
    def device(self) -> torch.device:
        """Where the encoder is."""
        return next(self.encoder.parameters()).device

    def embed(self, texts: TextBatch) -> Tensor:
        """As in `PairNetwork`."""
        return self.encoder.embed(texts)

    def run_layers(
        self,
        hidden: Tensor,
        mask: Tensor,
        padded: bool,
        route: Route,
        maps: AttentionMaps | None,  # noqa: ARG002 - there is no fusion
        first: int = 0,
        last: int | None = None,
    ) -> Tensor:
        """As in `PairNetwork`."""
        bias = attention_bias(mask, padded)
        for number in range(first, self.depth if last is None else last):
            lower = self._place(self.after_attention[number], route, mask)
            upper = self._place(self.after_feed_forward[number], route, mask)
            feed_forward, attended = self.encoder.sublayers(number, hidden, bias, lower)
            adapted = upper(feed_forward) if upper else feed_forward
            hidden = self.encoder.normalise(number, adapted + attended)
        return hidden

    def _place(self, adapter: nn.Module, route: Route, mask: Tensor) -> Callable[[Tensor], Tensor] | None:
        if not route.adapters:
            return None
        return partial(adapter, mask=mask, task=route.adapters[0], scale=self.scale)
