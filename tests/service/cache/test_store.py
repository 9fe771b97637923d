from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from model_store.errors import CacheUnavailableError, ConfigurationError
from service.cache.keys import entry_key
from service.cache.server.connection import CacheConnection
from service.cache.server.embedded import EmbeddedValkey
from service.cache.store import CacheStore, QueryScores, opened_cache
from service.settings import ServiceSettings
from tests.service.cache.conftest import CacheServer
from tests.support.service.running import settings_for

pytestmark = pytest.mark.anyio


def scores(query: str, *dropped: str, **kept: float) -> QueryScores:
    return QueryScores(query, dict(kept), set(dropped))


async def test_products_come_best_first_and_ties_as_zrevrange_has_them(cache: CacheStore) -> None:
    generation = await cache.generations.active_or_open("us", 1)
    await cache.merge(generation, [scores("usb cable", b=0.9, a=0.9, c=0.95, d=0.51234)])
    answer = await cache.read("us", "  USB  Cable ")
    assert answer.status == "relevant"
    assert [(product.id, product.score) for product in answer.products] == [
        ("c", 0.95),
        ("b", 0.9),
        ("a", 0.9),
        ("d", 0.5123),
    ]


async def test_nothing_relevant_differs_from_never_scored(cache: CacheStore) -> None:
    generation = await cache.generations.active_or_open("us", 1)
    await cache.merge(generation, [scores("sofa", "p1", "p2")])
    assert (await cache.read("us", "sofa")).status == "nothing_relevant"
    assert (await cache.read("us", "chair")).status == "never_scored"
    assert (await cache.read("es", "sofa")).generation is None


async def test_a_relevant_product_replaces_the_marker_and_losing_it_brings_the_marker_back(
    cache: CacheStore,
) -> None:
    generation = await cache.generations.active_or_open("us", 1)
    first, second, third = [
        (await cache.merge(generation, [entry]))[0]
        for entry in (scores("sofa", "p1"), scores("sofa", p1=0.8), scores("sofa", "p1"))
    ]
    assert (first.created, first.growth) == (True, 0)
    assert (second.created, second.growth) == (False, 1)
    assert (third.created, third.growth) == (False, -1)
    assert (await cache.read("us", "sofa")).status == "nothing_relevant"


async def test_the_cap_keeps_the_best_and_names_what_it_removed(server: CacheServer) -> None:
    connection = server.connect()
    cache = CacheStore(connection, cap=3)
    generation = await cache.generations.active_or_open("us", 1)
    outcome = (await cache.merge(generation, [scores("tea", a=0.7, b=0.7, c=0.7, d=0.7, e=0.9)]))[0]
    assert outcome.removed_by_cap == {"a", "b"}
    assert outcome.growth == 3
    assert [product.id for product in (await cache.read("us", "tea")).products] == ["e", "d", "c"]
    await connection.close()


async def test_concurrent_writers_keep_the_cap_and_the_marker_apart(server: CacheServer) -> None:
    connections = [server.connect() for _ in range(6)]
    caches = [CacheStore(connection, cap=20) for connection in connections]
    generation = await caches[0].generations.active_or_open("us", 1)
    key = entry_key("us", generation.number, "tea")

    async def write(cache: CacheStore, seed: int) -> None:
        generator = random.Random(seed)
        for _ in range(40):
            products = [f"p{generator.randrange(60)}" for _ in range(8)]
            entry = QueryScores("tea", dict.fromkeys(products[:4], generator.random()), set(products[4:]))
            await cache.merge(generation, [entry])

    async def watch(connection: CacheConnection) -> None:
        for _ in range(150):
            names = [name for name, _ in await connection.sorted_set(key)]
            assert len(names) <= 20
            assert "" not in names or names == [""]

    await asyncio.gather(*map(write, caches[:5], range(5)), watch(connections[5]))
    for connection in connections:
        await connection.close()


async def test_unusual_queries_and_ids_survive(cache: CacheStore) -> None:
    generation = await cache.generations.active_or_open("jp", 1)
    queries = ["{tag} [x]* ?", "テレビ 台", "a" * 5000, "a:b:c"]
    await cache.merge(generation, [QueryScores(query, {"id {1}\n*": 0.75}) for query in queries])
    for query in queries:
        assert [product.id for product in (await cache.read("jp", query)).products] == ["id {1}\n*"]


async def test_thousands_of_queries_go_in_several_pipelines(cache: CacheStore) -> None:
    generation = await cache.generations.active_or_open("us", 1)
    outcomes = await cache.merge(generation, [scores(f"q{number}", p=0.9) for number in range(2500)])
    assert sum(outcome.created for outcome in outcomes) == 2500
    assert len((await cache.read("us", "q2499")).products) == 1


def settings(folder: Path, **changes: object) -> ServiceSettings:
    return settings_for(folder / "store", folder / "opened", **changes)


def is_left_running(folder: Path) -> bool:
    """Whether there is a server in the cache folder without anybody to use it."""
    server = EmbeddedValkey(folder / "opened" / "cache")
    found = not server.started_here
    server.leave()
    return found


async def test_without_a_url_an_embedded_server_runs_while_the_cache_is_open(tmp_path: Path) -> None:
    async with opened_cache(settings(tmp_path, cache_products_per_query=7)) as cache:
        assert cache.cap == 7
        await cache.connection.put("a", "1")
    assert not is_left_running(tmp_path)
    async with opened_cache(settings(tmp_path)) as cache:
        assert await cache.connection.get("a") == "1"


async def test_a_url_is_used_instead(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    async with opened_cache(settings(tmp_path, redis_url=valkey.url)) as cache:
        await cache.connection.put("a", "1")
    assert not (tmp_path / "opened").exists()
    async with opened_cache(settings(tmp_path, redis_url=valkey.url)) as cache:
        assert await cache.connection.get("a") == "1"


async def test_a_named_server_need_not_be_up(tmp_path: Path) -> None:
    async with opened_cache(settings(tmp_path, redis_url="redis://127.0.0.1:1")) as cache:
        with pytest.raises(CacheUnavailableError, match="did not answer"):
            await cache.connection.ping()


async def test_a_wrong_url_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        async with opened_cache(settings(tmp_path, redis_url="localhost")):
            pass


async def test_a_command_that_is_stopped_while_it_opens_the_cache_leaves_no_server(tmp_path: Path) -> None:
    async def use() -> None:
        async with opened_cache(settings(tmp_path)) as cache:
            await cache.connection.ping()

    using = asyncio.create_task(use())
    while not (tmp_path / "opened" / "cache" / "change.lock").exists():
        await asyncio.sleep(0)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert not is_left_running(tmp_path)
