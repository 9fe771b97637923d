"""A huge request does not hold small ones up, and is answered all the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.engine.batching.micro_batching import BatchFigures
from tests.support.service.running import RunningService, pair, running_service, settings_for

pytestmark = pytest.mark.anyio

HUGE_PAIRS = 600
SMALL_REQUESTS = 3


@pytest.fixture
async def service(tiny_store: Path, tmp_path: Path) -> AsyncIterator[RunningService]:
    # Small batches, so that the huge request takes a hundred of them.
    async with running_service(settings_for(tiny_store, tmp_path, token_budget=128)) as running:
        yield running


def asking(*titles: str) -> dict[str, object]:
    return {"pairs": [pair(title=title) for title in titles], "write_cache": False}


async def test_small_requests_are_answered_while_a_huge_one_is_computed(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_batch = threading.Event()
    noted = service.state.metrics.computed

    def computed(batch: BatchFigures) -> None:
        noted(batch)
        first_batch.set()

    monkeypatch.setattr(service.state.metrics, "computed", computed)
    body = asking(*(f"USB C cable number {place}" for place in range(HUGE_PAIRS)))
    huge = asyncio.create_task(service.client.post("/score", json=body, timeout=120))
    assert await asyncio.to_thread(first_batch.wait, 30)
    alone = []
    for place in range(SMALL_REQUESTS):
        answer = await service.client.post("/score", json=asking(f"red sofa {place}"))
        assert answer.status_code == 200
        alone.append(answer.json()["results"][0]["score"])
        assert not huge.done()
    answered = await huge
    assert answered.status_code == 200
    assert len(answered.json()["results"]) == HUGE_PAIRS
    # Sharing batches with the huge request changed nothing.
    again = await service.client.post(
        "/score", json=asking(*(f"red sofa {place}" for place in range(SMALL_REQUESTS)))
    )
    assert [item["score"] for item in again.json()["results"]] == pytest.approx(alone, abs=1e-4)
