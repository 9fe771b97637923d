from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from redis import Redis
from redis.cluster import RedisCluster

from model_store.errors import CacheUnavailableError, ConfigurationError, InputError
from service.cache import AsyncOfflineCache, OfflineCache
from service.cache.generations import Generation
from service.cache.keys import entry_key
from service.cache.look_ups import LookUps, driven
from service.cache.server.commands import Command
from service.cache.store import CacheStore, QueryScores
from tests.service.cache.conftest import CacheServer
from tests.support import REPOSITORY

pytestmark = pytest.mark.anyio


async def filled(writer: CacheStore, version: int, **queries: dict[str, float]) -> Generation:
    """A complete generation that is active now."""
    built = await writer.generations.create("us", version, f"fill-{version}", "building")
    await writer.merge(built, [QueryScores(query, dict(kept)) for query, kept in queries.items()])
    return await writer.generations.activate(built, len(queries), sum(map(len, queries.values())))


def nodes(bare: Redis | RedisCluster) -> list[Redis]:
    if isinstance(bare, Redis):
        return [bare]
    known = bare.get_nodes()  # type: ignore[no-untyped-call]
    return [node.redis_connection for node in known if node.redis_connection]


@pytest.fixture
async def reader(server: CacheServer) -> AsyncIterator[AsyncOfflineCache]:
    async with server.asynchronous() as client:
        yield client


async def test_a_look_up_is_the_order_of_zrevrange(cache: CacheStore, server: CacheServer) -> None:
    generation = await filled(cache, 1, tea={"a": 0.9, "é": 0.9, "b": 0.95, "B": 0.9})
    with server.client() as client, server.bare() as bare:
        found = client.lookup("us", " TEA ")
        names = bare.zrevrange(entry_key("us", generation.number, "tea"), 0, -1)
    assert found.status == "relevant"
    assert found.generation == generation
    assert [product.id for product in found.products] == [name.decode() for name in names] == ["b", "é", "a", "B"]
    assert [product.score for product in found.products] == [0.95, 0.9, 0.9, 0.9]


async def test_min_score_and_limit_choose_the_best(cache: CacheStore, reader: AsyncOfflineCache) -> None:
    await filled(cache, 1, tea={"a": 0.7, "b": 0.9, "c": 0.8})
    assert [one.id for one in (await reader.lookup("us", "tea", min_score=0.8)).products] == ["b", "c"]
    assert [one.id for one in (await reader.lookup("us", "tea", limit=1)).products] == ["b"]
    assert (await reader.lookup("us", "tea", min_score=0.91)).status == "nothing_relevant"


async def test_answers_of_a_batch_are_in_the_order_of_the_queries(cache: CacheStore, server: CacheServer) -> None:
    generation = await filled(cache, 1, tea={"a": 0.7}, sofa={"b": 0.9})
    await cache.merge(generation, [QueryScores("chair", dropped={"x"})])
    with server.client() as client:
        found = client.lookup_many("us", ["sofa", "chair", "unknown", "tea"])
        assert client.lookup_many("us", []) == []
    assert [one.status for one in found] == ["relevant", "nothing_relevant", "never_scored", "relevant"]
    assert [one.products[0].id for one in found if one.products] == ["b", "a"]


async def test_a_remembered_look_up_is_one_command(cache: CacheStore, server: CacheServer) -> None:
    await filled(cache, 1, tea={"a": 0.7}, sofa={"b": 0.9})
    with server.client(60) as client, server.bare() as bare:
        client.lookup("us", "tea")
        for node in nodes(bare):
            node.config_resetstat()
        client.lookup("us", "sofa")
        client.lookup_many("us", ["tea", "sofa", "tea"])
        calls = [node.info("commandstats") for node in nodes(bare)]
    looked_up = sum(one["cmdstat_zrevrange"]["calls"] for one in calls if "cmdstat_zrevrange" in one)
    assert looked_up == 4
    kinds = {name.partition("|")[0] for one in calls for name in one}
    assert kinds <= {"cmdstat_zrevrange", "cmdstat_config", "cmdstat_info"}


async def test_a_look_up_that_remembers_nothing_is_one_round_trip_too(
    cache: CacheStore, server: CacheServer
) -> None:
    await filled(cache, 1, tea={"a": 0.7}, sofa={"b": 0.9})
    look_ups, sent = LookUps(remember_seconds=0), cast("list[list[object]]", [])

    async def counted(commands: list[Command]) -> list[object]:
        sent.append([command[0] for command in commands])
        return await cache.connection.send(commands)

    await driven(look_ups.steps("us", ["tea"], 0, None), counted)
    sent.clear()
    found = await driven(look_ups.steps("us", ["sofa", "tea"], 0, None), counted)
    assert [one.products[0].id for one in found] == ["b", "a"]
    assert sent == [["ZREVRANGE", "ZREVRANGE", "GET", "ZSCORE"]]
    second = await filled(cache, 2, tea={"new": 0.7})
    (answer,) = await driven(look_ups.steps("us", ["tea"], 0, None), counted)
    assert (answer.generation, answer.products[0].id) == (second, "new")


async def test_a_pointer_whose_record_is_gone_for_a_moment_is_followed_again(cache: CacheStore) -> None:
    """A rollback leads to a generation that is being removed, until one of the two gives way."""
    first = await filled(cache, 1, tea={"a": 0.7})
    look_ups, hidden = LookUps(remember_seconds=0), True

    async def hiding_once(commands: list[Command]) -> list[object]:
        nonlocal hidden
        if hidden and commands[0][0] == "GET" and len(commands) == 1:
            hidden = False
            return [None]
        return await cache.connection.send(commands)

    (found,) = await driven(look_ups.steps("us", ["tea"], 0, None), hiding_once)
    assert not hidden
    assert (found.status, found.generation) == ("relevant", first)


async def test_a_flip_is_seen_once_the_memory_is_over(cache: CacheStore, server: CacheServer) -> None:
    await filled(cache, 1, tea={"old": 0.7})
    async with (
        server.asynchronous(60) as slow,
        server.asynchronous(0) as fresh,
    ):
        assert (await slow.lookup("us", "tea")).products[0].id == "old"
        await filled(cache, 2, tea={"new": 0.7})
        assert (await slow.lookup("us", "tea")).products[0].id == "old"
        assert (await fresh.lookup("us", "tea")).products[0].id == "new"


async def test_a_generation_that_is_gone_is_noticed_at_once(cache: CacheStore, server: CacheServer) -> None:
    first = await filled(cache, 1, tea={"old": 0.7}, sofa={"old": 0.7})
    async with server.asynchronous(60) as client:
        await client.lookup("us", "tea")
        second = await filled(cache, 2, tea={"new": 0.7}, sofa={"new": 0.7})
        # As a removal that was interrupted leaves it: one entry is gone, the other is not.
        await cache.connection.delete(entry_key("us", first.number, "tea"))
        found = await client.lookup_many("us", ["sofa", "tea"])
    assert [one.generation for one in found] == [second, second]
    assert [one.products[0].id for one in found] == ["new", "new"]


async def test_threads_share_a_client(cache: CacheStore, server: CacheServer) -> None:
    await filled(cache, 1, **{f"q{number}": {f"p{number}": 0.7} for number in range(50)})
    with server.client(0) as client, ThreadPoolExecutor(8) as threads:
        found = await asyncio.to_thread(
            lambda: list(threads.map(lambda place: client.lookup("us", f"q{place % 50}"), range(400)))
        )
    assert [one.products[0].id for one in found] == [f"p{place % 50}" for place in range(400)]


@pytest.mark.parametrize(
    ("marketplace", "min_score", "limit", "field"),
    [("u s", 0, None, "marketplace"), ("us", 1.1, None, "min_score"), ("us", float("nan"), None, "min_score"),
     ("us", 0, 0, "limit")],
)  # fmt: skip
async def test_bad_input_is_named(
    reader: AsyncOfflineCache, marketplace: str, min_score: float, limit: int | None, field: str
) -> None:
    with pytest.raises(InputError, match=f"'{field}'"):
        await reader.lookup(marketplace, "tea", min_score=min_score, limit=limit)


@pytest.mark.parametrize("cluster", [False, True])
def test_a_server_that_is_away_is_reported_without_the_password(cluster: bool) -> None:
    with (
        pytest.raises(CacheUnavailableError, match=r"127\.0\.0\.1:1 did not answer") as caught,
        OfflineCache.from_url("redis://user:secret@127.0.0.1:1", cluster=cluster) as client,
    ):
        client.lookup("us", "tea")
    assert "secret" not in str(caught.value)


def test_a_wrong_url_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="redis://HOST"):
        OfflineCache.from_url("http://localhost")


def test_it_needs_neither_torch_nor_transformers() -> None:
    script = (
        "import sys; import service.cache; "
        "sys.exit(bool({'torch', 'transformers', 'fastapi'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=REPOSITORY)
