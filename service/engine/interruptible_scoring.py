"""Scoring of a long job that can be stopped within a batch rather than within a chunk."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from model_store.product import QueryProductPair
from service.engine.scorer import Scorer
from service.engine.scoring_thread import ScoringThread

Score = Callable[[Sequence[QueryProductPair]], Awaitable[list[float]]]


class _ScoringStoppedError(Exception):
    """Ends the scoring thread's work; nobody waits for its result any more."""


@asynccontextmanager
async def interruptible_scoring(scorer: Scorer) -> AsyncIterator[Score]:
    """A function that scores on a thread of its own; leaving the context stops it after the batch at hand."""
    thread = ScoringThread()
    stopped = threading.Event()

    def check(_: int) -> None:
        if stopped.is_set():
            raise _ScoringStoppedError

    async def score(pairs: Sequence[QueryProductPair]) -> list[float]:
        return await thread.run(scorer.score, pairs, check)

    try:
        yield score
    finally:
        stopped.set()
        thread.close()
