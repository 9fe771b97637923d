"""Which rows of the calls that wait make the next batch: fair between calls, and with little padding."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import numpy as np

from model_store.length_batches import SPECIAL_TOKENS

Key = TypeVar("Key")


class BatchPlan(Generic[Key]):
    """Rows of several calls, by length.

    Calls lead in turn, so that a small call waits for at most one batch of each other call, not for the whole
    of a large one. The leading call gives its longest rows; room that is left goes to the other calls' rows
    that are no longer than those, the longest of them first.
    """

    def __init__(self, token_budget: int) -> None:
        self._token_budget = token_budget
        self._turns: deque[Key] = deque()
        self._rows: dict[Key, np.ndarray] = {}  # row numbers, longest first
        self._lengths: dict[Key, np.ndarray] = {}  # their lengths

    def __bool__(self) -> bool:
        """Whether any row waits."""
        return bool(self._turns)

    def add(self, key: Key, lengths: np.ndarray) -> None:
        """A call's rows; a call without rows has nothing to wait for."""
        if len(lengths) == 0:
            return
        order = np.argsort(-lengths, kind="stable")
        self._rows[key], self._lengths[key] = order, lengths[order]
        self._turns.append(key)

    def waiting(self) -> list[Key]:
        """The calls whose rows wait, in the order of their turns."""
        return list(self._turns)

    def drop(self, key: Key) -> None:
        """Forget a call's rows, if any still wait."""
        if key in self._rows:
            self._turns.remove(key)
            del self._rows[key], self._lengths[key]

    def has_rows(self, key: Key) -> bool:
        """Whether rows of the call still wait."""
        return key in self._rows

    def next_batch(self) -> list[tuple[Key, np.ndarray]]:
        """Row numbers by call, at least one row; they wait no longer."""
        width = int(self._lengths[self._turns[0]][0])
        room = max(1, self._token_budget // (width + SPECIAL_TOKENS))
        batch = []
        for key in self.waiting():
            rows = self._take(key, width, room)
            if len(rows):
                batch.append((key, rows))
                room -= len(rows)
            if room == 0:
                break
        self._turns.rotate(-1)
        for key, _ in batch:
            if len(self._rows[key]) == 0:
                self.drop(key)
        return batch

    def _take(self, key: Key, width: int, room: int) -> np.ndarray:
        rows, lengths = self._rows[key], self._lengths[key]
        # Lengths fall: the first that is not too long.
        first = int(np.searchsorted(-lengths, -width))
        taken = rows[first : first + room]
        self._rows[key] = np.delete(rows, slice(first, first + room))
        self._lengths[key] = np.delete(lengths, slice(first, first + room))
        return taken
