"""Few shapes for many batches: a graph that was captured for a shape serves every batch that fits into it."""

from __future__ import annotations

import torch
from torch import Tensor

_FINE_TOKENS, _COARSE_TOKENS = 16, 64
_FINE_UP_TO = 128
Shape = tuple[int, int]
"""Texts and tokens."""


def bucket_of(texts: int, tokens: int) -> Shape:
    """The smallest shape that holds a batch: a power of two of texts; tokens in steps of 16, above 128 of 64."""
    step = _FINE_TOKENS if tokens <= _FINE_UP_TO else _COARSE_TOKENS
    return 1 << max(0, texts - 1).bit_length(), -(-tokens // step) * step


def filled(hidden: Tensor, mask: Tensor, into_hidden: Tensor, into_mask: Tensor) -> None:
    """Copy a batch into the corner of a larger one, the rest of which becomes padding.

    Args:
        hidden: (texts, tokens, hidden); `mask` (texts, tokens) bool, False at padding.
        into_hidden: at least as large in every dimension; `into_mask` likewise.
    """
    texts, tokens = mask.shape
    into_hidden.zero_()
    into_hidden[:texts, :tokens].copy_(hidden)
    into_mask.zero_()
    # A text of padding alone has nothing to attend to; its result is not used, but must be a number.
    into_mask[:, 0] = True
    into_mask[:texts, :tokens].copy_(mask.to(torch.bool))
