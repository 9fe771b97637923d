"""Token tensors of a batch of query-product pairs, and batches of similar length under a token budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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
class JointBatch:
    """B pairs (cross): query and product of each in one sequence; `head_index` says which head scores each."""

    head_index: Tensor  # (B) int64
    texts: TextBatch  # B sequences

    def to(self, device: torch.device | str) -> JointBatch:
        """The same batch on another device."""
        return JointBatch(self.head_index.to(device), self.texts.to(device))

    def __len__(self) -> int:
        """Number of pairs."""
        return self.head_index.shape[0]


@dataclass(frozen=True, slots=True)
class TwoTowerBatch:
    """B pairs (two_tower, late) over distinct queries and products; `head_index` says which head scores each."""

    head_index: Tensor  # (B) int64
    queries: TextBatch
    products: TextBatch
    query_index: Tensor  # (B) int64, row of `queries`
    product_index: Tensor  # (B) int64, row of `products`

    def to(self, device: torch.device | str) -> TwoTowerBatch:
        """The same batch on another device."""
        return TwoTowerBatch(
            self.head_index.to(device),
            self.queries.to(device),
            self.products.to(device),
            self.query_index.to(device),
            self.product_index.to(device),
        )

    def __len__(self) -> int:
        """Number of pairs."""
        return self.head_index.shape[0]


PairBatch = JointBatch | TwoTowerBatch
"""A batch of pairs, laid out as the pair encoding says."""


SPECIAL_TOKENS = 4
"""Upper bound of special tokens in a sequence, added to every length."""


def length_batches(lengths: np.ndarray, token_budget: int) -> list[np.ndarray]:
    """Group rows of similar length so that rows x longest length stays within the budget.

    Args:
        lengths: (rows) token counts.
        token_budget: tokens a batch may hold, padding included; a longer row gets a batch of its own.

    Returns:
        Arrays of row numbers, longest first, every row exactly once.
    """
    order = np.argsort(-lengths, kind="stable")
    batches: list[np.ndarray] = []
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]]) + SPECIAL_TOKENS
        size = max(1, token_budget // longest)
        batches.append(order[start : start + size])
        start += size
    return batches
