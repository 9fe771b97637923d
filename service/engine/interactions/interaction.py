"""A call's work as rows of tokens, so that rows of several calls can share a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from model_store.encoding.tokens import TokenizedPairs

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
