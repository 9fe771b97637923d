from __future__ import annotations

import asyncio

import pytest

from model_store.errors import CacheUnavailableError
from service.cache.redis_errors import asked, without_password
from service.cache.store import OfflineCache

pytestmark = pytest.mark.anyio


async def test_a_task_that_talks_to_the_server_ends_whenever_it_is_cancelled(cache: OfflineCache) -> None:
    async def talk() -> None:
        while True:
            await cache.connection.get("text")

    for turns in range(300):
        task = asyncio.create_task(talk())
        for _ in range(turns % 40):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        if not done:
            task.cancel()
            pytest.fail(f"cancelled after {turns % 40} turns of the loop, it goes on")


async def test_cleaning_up_after_a_cancellation_may_ask_the_server(cache: OfflineCache) -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await cache.connection.put("cleaned", "up")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await cache.connection.get("cleaned") == "up"


async def test_a_time_that_is_over_stays_one() -> None:
    async def work() -> None:
        async with asyncio.timeout(0.01):
            with asked("here"):
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()
    with pytest.raises(CacheUnavailableError, match="at here did not answer"), asked("here"):
        raise TimeoutError


def test_no_password_is_shown() -> None:
    assert without_password("redis://user:secret@host:1/0") == "redis://host:1/0"
    assert without_password("unix:///a/socket") == "unix:///a/socket"
