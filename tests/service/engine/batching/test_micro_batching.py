from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.errors import OverloadedError, ShuttingDownError
from model_store.product import Product, QueryProductPair
from model_store.versions.loading import load_version
from service import background
from service.engine.batching.micro_batching import BatchFigures, EngineObserver, MicroBatching
from service.engine.batching.plan import BATCHES_AHEAD
from service.engine.interactions.interaction import RowWork
from service.engine.scorer import Scorer
from tests.support.service.running import exact_scorer
from tests.support.tiny_model import build_tiny_store

pytestmark = pytest.mark.anyio


class HeldScorer(Scorer):
    """Notes how many calls share each batch, and computes none before it is let go."""

    def __init__(self, store: Path, token_budget: int = 4096) -> None:
        super().__init__(load_version(store), token_budget=token_budget)
        self.calls_per_batch: list[int] = []
        self.begun = threading.Event()
        self.go = threading.Event()

    def compute(self, parts: Sequence[tuple[RowWork[Any, Any], np.ndarray]]) -> None:
        self.calls_per_batch.append(len(parts))
        self.begun.set()
        assert self.go.wait(30)
        super().compute(parts)


class Noted(EngineObserver):
    def __init__(self) -> None:
        self.pairs: list[int] = []
        self.queue_seconds: list[float] = []
        self.batches: list[BatchFigures] = []

    def tokenized(self, pairs: int, seconds: float) -> None:
        self.pairs.append(pairs)

    def queued(self, seconds: float) -> None:
        self.queue_seconds.append(seconds)

    def computed(self, batch: BatchFigures) -> None:
        self.batches.append(batch)


@pytest.fixture
def batching() -> Iterator[MicroBatching]:
    batching = MicroBatching(max_waiting_tokens=2500)
    yield batching
    batching.close()


def pairs(name: str, count: int) -> list[QueryProductPair]:
    return [QueryProductPair("us", f"{name} cable", Product(str(n), f"{name} {n} " * 4)) for n in range(count)]


@pytest.mark.parametrize("interaction", ["two_tower", "cross", "late(1)"])
async def test_concurrent_calls_get_their_own_scores(
    tmp_path: Path, batching: MicroBatching, interaction: str
) -> None:
    store = build_tiny_store(tmp_path, interaction=interaction)
    alone = exact_scorer(store, encoded_text_bytes=0)
    shared = exact_scorer(store, token_budget=128)
    calls = [pairs(f"call {number}", 1 + 3 * number) for number in range(6)]
    found = await asyncio.gather(*(batching.score(shared, call) for call in calls))
    for call, result in zip(calls, found, strict=True):
        assert result.scores == pytest.approx(alone.score(call), abs=1e-4)
    assert batching.admission.waiting_calls == 0


async def test_calls_that_come_during_a_batch_share_the_next(tiny_store: Path, batching: MicroBatching) -> None:
    scorer = HeldScorer(tiny_store)
    first = asyncio.create_task(batching.score(scorer, pairs("first", 2)))
    await asyncio.to_thread(scorer.begun.wait)
    others = [asyncio.create_task(batching.score(scorer, pairs(f"other {n}", 2))) for n in range(5)]
    while len(batching._computing._arrived) < 5:
        await asyncio.sleep(0)
    scorer.go.set()
    await asyncio.gather(first, *others)
    # The others' queries and products may be too different in length for one batch.
    assert scorer.calls_per_batch[0] == 1
    assert set(scorer.calls_per_batch[1:]) == {5}


async def test_a_flood_is_refused_at_once_and_the_rest_is_answered(
    tiny_store: Path, batching: MicroBatching
) -> None:
    scorer = HeldScorer(tiny_store)
    first = asyncio.create_task(batching.score(scorer, pairs("first", 200)))
    await asyncio.to_thread(scorer.begun.wait)
    with pytest.raises(OverloadedError, match=r"tokens are ahead of this request, and at most 2500"):
        await batching.score(scorer, pairs("more", 600))
    small = asyncio.create_task(batching.score(scorer, pairs("small", 5)))
    patient = asyncio.create_task(batching.score(scorer, pairs("patient", 600), patient=True))
    scorer.go.set()
    assert len((await first).scores) == 200
    assert len((await small).scores) == 5
    assert len((await patient).scores) == 600


async def test_the_work_is_told_to_the_observer(tiny_store: Path) -> None:
    noted = Noted()
    batching = MicroBatching(observer=noted)
    scorer = exact_scorer(tiny_store, token_budget=64)
    asked = pairs("noted", 20)
    await batching.score(scorer, asked)
    batching.close()
    assert noted.pairs == [20]
    assert len(noted.queue_seconds) == 1
    tokenized = scorer.prepare(asked).tokenized
    texts = len(tokenized.queries) + len(tokenized.products)
    assert sum(batch.rows for batch in noted.batches) == texts
    assert all(batch.tokens + batch.padding_tokens <= 64 or batch.rows == 1 for batch in noted.batches)
    assert all(batch.padding_tokens >= 0 < batch.seconds for batch in noted.batches)


async def test_a_cancelled_call_is_computed_no_further(tiny_store: Path, batching: MicroBatching) -> None:
    scorer = HeldScorer(tiny_store, token_budget=64)
    job = asyncio.create_task(batching.score(scorer, pairs("long", 80)))
    await asyncio.to_thread(scorer.begun.wait)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    scorer.go.set()
    assert len((await batching.score(scorer, pairs("next", 1))).scores) == 1
    assert len(scorer.calls_per_batch) <= 3
    assert batching.admission.waiting_tokens == 0


async def test_an_error_reaches_its_caller_and_the_thread_lives_on(
    tiny_store: Path, batching: MicroBatching, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = exact_scorer(tiny_store)

    def fail(_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(scorer, "compute", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            await batching.score(scorer, pairs("first", 3))
    with pytest.raises(ZeroDivisionError):
        await batching.run(lambda: 1 // 0)
    assert len((await batching.score(scorer, pairs("second", 3))).scores) == 3
    assert await batching.run(lambda: 7) == 7


async def test_closing_cancels_what_waits_and_refuses_what_comes(tiny_store: Path) -> None:
    batching = MicroBatching()
    scorer = HeldScorer(tiny_store, token_budget=64)
    job = asyncio.create_task(batching.score(scorer, pairs("long", 80)))
    await asyncio.to_thread(scorer.begun.wait)
    closing = asyncio.create_task(asyncio.to_thread(batching.close))
    scorer.go.set()
    await closing
    with pytest.raises(asyncio.CancelledError):
        await job
    with pytest.raises(ShuttingDownError, match="shut down"):
        await batching.run(lambda: 1)


async def test_what_was_cut_off_is_told(tiny_store: Path, batching: MicroBatching) -> None:
    scorer = exact_scorer(tiny_store)
    asked = [
        QueryProductPair("us", query, Product("1", title))
        for query, title in (
            ("a", "b"),
            ("a", "long " * 200),
            ("long " * 200, "b"),
            ("long " * 200, "long " * 200),
        )
    ]
    found = await batching.score(scorer, asked)
    assert found.truncated == [(), ("product",), ("query",), ("query", "product")]


async def test_work_that_gives_way_is_done_after_the_batches_of_requests(
    tmp_path: Path, batching: MicroBatching
) -> None:
    scorer = HeldScorer(build_tiny_store(tmp_path), token_budget=128)
    call = asyncio.create_task(batching.score(scorer, pairs("call", 12)))
    await asyncio.to_thread(scorer.begun.wait, 30)

    def batches() -> int:
        return len(scorer.calls_per_batch)

    background_work = asyncio.create_task(batching.run(batches, gives_way=True))
    at_once = asyncio.create_task(batching.run(batches))
    # Both have been handed over once each task has had its first turn.
    await asyncio.sleep(0)
    scorer.go.set()
    await call
    total = batches()
    assert total > 2
    assert await at_once < total
    assert await background_work >= min(total, BATCHES_AHEAD)


class PanicError(BaseException):
    """As what a native library raises, and `except Exception` does not catch."""


@pytest.mark.parametrize("surprise", [PanicError("index"), SystemExit(1), StopIteration()], ids=repr)
@pytest.mark.parametrize("place", ["prepare", "begin", "compute", "finish"])
async def test_whatever_an_engine_raises_fails_its_call_alone(
    tiny_store: Path,
    batching: MicroBatching,
    monkeypatch: pytest.MonkeyPatch,
    surprise: BaseException,
    place: str,
) -> None:
    def fail(*arguments: object) -> None:
        raise surprise

    scorer = exact_scorer(tiny_store)
    with monkeypatch.context() as patch:
        patch.setattr(scorer, place, fail)
        async with asyncio.timeout(30):
            with pytest.raises(Exception, match=type(surprise).__name__):
                await batching.score(scorer, pairs("bad", 2))
    async with asyncio.timeout(30):
        assert len((await batching.score(scorer, pairs("good", 2))).scores) == 2
        with pytest.raises(Exception, match="SystemExit"):
            await batching.run(lambda: sys.exit(2))
        assert await batching.run(lambda: 5) == 5
    assert batching.admission.waiting_calls == 0


async def test_an_observer_that_fails_costs_no_answer(tiny_store: Path) -> None:
    class Failing(EngineObserver):
        def tokenized(self, pairs: int, seconds: float) -> None:
            raise OSError("disk")

        def computed(self, batch: BatchFigures) -> None:
            raise OSError("disk")

    batching = MicroBatching(observer=Failing())
    before = background.failures().get("noting figures of the engine", 0)
    async with asyncio.timeout(30):
        found = await batching.score(exact_scorer(tiny_store), pairs("any", 3))
    assert len(found.scores) == 3
    assert background.failures()["noting figures of the engine"] == before + 2
    batching.close()
