"""Token tensors of a batch of query-product pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

QUERY_SEGMENT = 1
PRODUCT_SEGMENT = 2


@dataclass(frozen=True, slots=True)
class LayerStates:
    """A text batch inside an encoder layer, just before its adapters: where a forward pass can begin."""

    layer: int
    feed_forward: Tensor  # (texts, tokens, hidden), before its residual
    attended: Tensor  # (texts, tokens, hidden), that residual


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Right-padded token sequences.

    `segments` is 0 at special tokens and padding, 1 at query and 2 at product tokens. `states` is what the layers
    below made of the texts already, where that is known; a network that can go on from there does.
    """

    token_ids: Tensor  # (texts, tokens) int64
    token_types: Tensor  # (texts, tokens) int64
    mask: Tensor  # (texts, tokens) bool, False at padding
    segments: Tensor  # (texts, tokens) int64
    padded: bool
    states: LayerStates | None = None

    def to(self, device: torch.device | str) -> TextBatch:
        """The same batch on another device."""
        return TextBatch(
            self.token_ids.to(device, non_blocking=True),
            self.token_types.to(device, non_blocking=True),
            self.mask.to(device, non_blocking=True),
            self.segments.to(device, non_blocking=True),
            self.padded,
            self.states,
        )


@dataclass(frozen=True, slots=True)
class PairBatch:
    """A batch of B pairs: either `joint` (cross) or distinct `queries` and `products` with indices (towers).

    `head_index` says which head scores the pair.
    """

    head_index: Tensor  # (B) int64
    joint: TextBatch | None = None
    queries: TextBatch | None = None
    products: TextBatch | None = None
    query_index: Tensor | None = None  # (B) int64, row of `queries`
    product_index: Tensor | None = None  # (B) int64, row of `products`

    def to(self, device: torch.device | str) -> PairBatch:
        """The same batch on another device."""
        return PairBatch(
            self.head_index.to(device),
            None if self.joint is None else self.joint.to(device),
            None if self.queries is None else self.queries.to(device),
            None if self.products is None else self.products.to(device),
            None if self.query_index is None else self.query_index.to(device),
            None if self.product_index is None else self.product_index.to(device),
        )

    def __len__(self) -> int:
        """Number of pairs."""
        return self.head_index.shape[0]
