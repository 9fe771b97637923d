"""Batches of similar length under a token budget: padding costs nothing, memory is bounded."""

from __future__ import annotations

import numpy as np

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
