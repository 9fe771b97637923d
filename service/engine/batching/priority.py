"""Work of the computing thread that lets requests go first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

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
