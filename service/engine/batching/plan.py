"""Which rows make the next batch: fair between the calls that wait, with little padding.

Background work, such as a fill's, lets requests go first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from model_store.encoding.batch import SPECIAL_TOKENS
from service.engine.interactions.interaction import rows_of_batch

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
        offered: dict[Key, slice] = {}
        for key in self._turns:
            found = self._offered(key, width, room)
            if found.stop > found.start:
                offered[key] = found
                room -= found.stop - found.start
            if room == 0:
                break
        shortest = self._shortest(offered)
        batch = [(key, self._take(key, rows, shortest)) for key, rows in offered.items()]
        self._turns.rotate(-1)
        for key in offered:
            if len(self._rows[key]) == 0:
                self.drop(key)
        return [(key, rows) for key, rows in batch if len(rows)]

    def _offered(self, key: Key, width: int, room: int) -> slice:
        """Where the call's longest rows stand that are not wider."""
        lengths = self._lengths[key]
        # Lengths fall: the first that is not too long.
        first = int(np.searchsorted(-lengths, -width))
        return slice(first, min(first + room, len(lengths)))

    def _shortest(self, offered: dict[Key, slice]) -> int:
        """The length from which rows are better left to another batch: they would be mostly padding."""
        lengths = np.concatenate([self._lengths[key][rows] for key, rows in offered.items()])
        falling = -np.sort(-lengths)
        return int(falling[rows_of_batch(falling, self._token_budget) - 1])

    def _take(self, key: Key, rows: slice, shortest: int) -> np.ndarray:
        lengths = self._lengths[key]
        stop = min(rows.stop, int(np.searchsorted(-lengths, -shortest, side="right")))
        taken = self._rows[key][rows.start : stop]
        self._rows[key] = np.delete(self._rows[key], slice(rows.start, stop))
        self._lengths[key] = np.delete(lengths, slice(rows.start, stop))
        return taken


BATCHES_AHEAD = 10
"""So many batches of requests may be computed before a piece of this work, so that it never stands still."""


class BackgroundWork:
    """Pieces of work, each about a batch long. For the computing thread alone."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._batches = 0

    def __bool__(self) -> bool:
        """Whether any piece waits."""
        return bool(self._waiting)

    def add(self, piece: Callable[[], None]) -> None:
        """Let a piece wait."""
        self._waiting.append(piece)

    def take_turn(self, *, requests_wait: bool) -> None:
        """Do a piece if no request waits, or enough of their batches were computed since the last piece.

        Call it after every round of batches.
        """
        if not self._waiting:
            return
        self._batches += 1
        if requests_wait and self._batches < BATCHES_AHEAD:
            return
        self._batches = 0
        self._waiting.popleft()()
