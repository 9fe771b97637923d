"""A call's work as rows of tokens, so that rows of several calls can share a batch with little padding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from model_store.encoding.batch import SPECIAL_TOKENS
from model_store.encoding.tokens import TokenizedPairs

BATCH_COST_TOKENS = 48
"""What a batch costs beside its tokens, in tokens: measured between 20 and 75 on CPUs (docs/log.md)."""


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


Row = TypeVar("Row")
Result = TypeVar("Result")


class RowWork(Generic[Row, Result]):
    """What one call needs computed, in any order and in any company.

    Args:
        rows: what a batch is made of.
        lengths: (rows) int64, tokens of each, special ones not counted.
        finish: takes the rows' results to the (pairs) float32 logits of the call.
    """

    def __init__(
        self, rows: Sequence[Row], lengths: np.ndarray, finish: Callable[[Sequence[Result]], np.ndarray]
    ) -> None:
        self.rows = rows
        self.lengths = lengths
        self._finish = finish
        self._results: list[Result | None] = [None] * len(rows)

    def keep(self, places: Sequence[int] | np.ndarray, results: Sequence[Result]) -> None:
        """Note the results of the rows at `places`."""
        for place, result in zip(places, results, strict=True):
            self._results[place] = result

    def logits(self) -> np.ndarray:
        """(pairs) float32 logits.

        Raises:
            ValueError: a row was not computed.
        """
        results = [result for result in self._results if result is not None]
        if len(results) != len(self.rows):
            raise ValueError(f"{len(self.rows) - len(results)} of {len(self.rows)} rows were not computed")
        return self._finish(results)


class Interaction(ABC, Generic[Row, Result]):
    """One way in which query and product meet, over a served network. One thread."""

    @abstractmethod
    def work(self, tokenized: TokenizedPairs, heads: np.ndarray) -> RowWork[Row, Result]:
        """The rows of a call; `heads` has the number of the head that scores each pair."""

    @abstractmethod
    def compute(self, rows: Sequence[Row]) -> Sequence[Result]:
        """The results of rows of similar length, as one batch."""


def compute_parts(
    interaction: Interaction[Row, Result], parts: Sequence[tuple[RowWork[Row, Result], np.ndarray]]
) -> None:
    """Compute the given rows of several works as one batch; each work keeps its own results."""
    results = interaction.compute([work.rows[place] for work, places in parts for place in places])
    start = 0
    for work, places in parts:
        work.keep(places, results[start : start + len(places)])
        start += len(places)
