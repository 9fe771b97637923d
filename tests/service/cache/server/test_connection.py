from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from redis import Redis

from model_store.errors import CacheUnavailableError, ConfigurationError
from service.cache.keys import entries_prefix
from service.cache.server.commands import Script
from service.cache.server.connection import CacheConnection
from service.cache.server.embedded import EmbeddedValkey
from service.cache.server.errors import asked
from service.cache.store import CacheStore, QueryScores

pytestmark = pytest.mark.anyio


async def test_a_wrong_url_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        CacheConnection.open("http://localhost")


async def test_every_command_says_that_the_cache_is_away_without_telling_the_password() -> None:
    connection = CacheConnection.open("redis://user:secret@127.0.0.1:1")
    for command in (connection.ping(), connection.get("a"), connection.put("a", "b"), connection.counts("a")):
        with pytest.raises(CacheUnavailableError, match=r"127\.0\.0\.1:1") as caught:
            await command
        assert "secret" not in str(caught.value)
    with pytest.raises(CacheUnavailableError):
        await connection.run_script(Script("return 1"), [("key", [])])
    await connection.close()


async def test_a_command_that_the_server_refuses_is_reported(cache: CacheStore) -> None:
    await cache.connection.put("text", "1")
    with pytest.raises(CacheUnavailableError, match="WRONGTYPE"):
        await cache.connection.sorted_set("text")
    with pytest.raises(CacheUnavailableError, match="Unknown command"):
        await cache.connection.run_script(Script("return redis.call('nothing')"), [("key", [])])


async def test_a_connection_is_used_again_after_the_server_came_back(
    valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    connection = CacheConnection.open(valkey.url)
    await connection.put("a", "1")
    with Redis.from_url(valkey.url) as client:
        client.execute_command("WAITAOF", 1, 0, 5000)
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
    with pytest.raises(CacheUnavailableError):
        await connection.get("a")
    again = EmbeddedValkey(tmp_path / "cache")
    assert again.started_here
    assert await connection.get("a") == "1"
    again.leave()
    await connection.close()


async def test_counts_are_of_sets_members_and_markers(cache: CacheStore) -> None:
    generation = await cache.generations.active_or_open("us", 1)
    entries = [QueryScores(f"q{number}", {"a": 0.9, "b": 0.8}) for number in range(1500)]
    await cache.merge(
        generation, [*entries, *(QueryScores(f"none {number}", dropped={"a"}) for number in range(30))]
    )
    counts = await cache.connection.counts(entries_prefix("us", generation.number))
    assert (counts.sets, counts.members, counts.markers) == (1530, 3000, 30)


async def test_a_task_that_talks_to_the_server_ends_whenever_it_is_cancelled(cache: CacheStore) -> None:
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


async def test_cleaning_up_after_a_cancellation_may_ask_the_server(cache: CacheStore) -> None:
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
