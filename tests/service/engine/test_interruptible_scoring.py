from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from model_store.loading import load_version
from model_store.product import Product, QueryProductPair
from service.engine.interruptible_scoring import interruptible_scoring
from service.engine.scorer import Scorer

pytestmark = pytest.mark.anyio

PAIRS = [QueryProductPair("us", "usb cable", Product(str(number), f"{number} " * 12)) for number in range(600)]


class NotingScorer(Scorer):
    """Notes the batches that were computed, and tells when the first one was."""

    def __init__(self, store: Path) -> None:
        super().__init__(load_version(store), token_budget=64)
        self.batches: list[int] = []
        self.begun = threading.Event()

    def score(
        self, pairs: Sequence[QueryProductPair], progress: Callable[[int], None] | None = None
    ) -> list[float]:
        def note(size: int) -> None:
            self.batches.append(size)
            self.begun.set()
            if progress:
                progress(size)

        return super().score(pairs, note)


async def test_scores_are_the_scorers(tiny_store: Path) -> None:
    scorer = NotingScorer(tiny_store)
    async with interruptible_scoring(scorer) as score:
        assert await score(PAIRS[:20]) == scorer.score(PAIRS[:20])


async def test_a_cancelled_job_stops_within_its_chunk(tiny_store: Path) -> None:
    scorer = NotingScorer(tiny_store)

    async def work() -> None:
        async with interruptible_scoring(scorer) as score:
            await score(PAIRS)

    job = asyncio.create_task(work())
    await asyncio.to_thread(scorer.begun.wait)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert 0 < sum(scorer.batches) < len(PAIRS) / 2
