"""Batches of similar length with little padding: fewer rows where that saves more than a batch costs."""

from __future__ import annotations

import numpy as np

from model_store.encoding.batch import SPECIAL_TOKENS

BATCH_COST_TOKENS = 48
"""What a batch costs beside its tokens, in tokens: measured between 20 and 75 on CPUs (docs/performance.md)."""


def tight_batches(lengths: np.ndarray, token_budget: int) -> list[np.ndarray]:
    """Row numbers of the batches, longest rows first, every row exactly once.

    Args:
        lengths: (rows) token counts.
        token_budget: tokens a batch may hold, padding included; a longer row gets a batch of its own.
    """
    order = np.argsort(-lengths, kind="stable")
    falling = lengths[order]
    batches: list[np.ndarray] = []
    start = 0
    while start < len(order):
        rows = rows_of_batch(falling[start:], token_budget)
        batches.append(order[start : start + rows])
        start += rows
    return batches


def rows_of_batch(lengths: np.ndarray, token_budget: int) -> int:
    """How many of the longest rows make the next batch.

    As many as the budget holds, or fewer where the shorter ones of them are better left to a batch of their own.

    Args:
        lengths: (rows) token counts, falling, at least one.
    """
    most = min(len(lengths), max(1, token_budget // (int(lengths[0]) + SPECIAL_TOKENS)))
    if most == 1:
        return 1
    kept = np.arange(1, most)
    # Padding that ends when the rows from `kept` on get a batch as wide as the longest of them.
    saved = (most - kept) * (lengths[0] - lengths[1:most])
    best = int(np.argmax(saved))
    return int(kept[best]) if saved[best] > BATCH_COST_TOKENS else most
