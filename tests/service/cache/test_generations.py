from __future__ import annotations

import asyncio

import pytest

from model_store.errors import CacheUnavailableError, InputError
from model_store.product import Product, QueryProductPair
from service.cache.fill_lock import held_fill_lock
from service.cache.generations import Generation, Generations
from service.cache.keys import active_key, counter_key, fill_lock_key, generations_key, record_key
from service.cache.score_writer import ScoredPair, ScoreWriter
from service.cache.server.errors import UnreadableRecordError
from service.cache.store import CacheStore, QueryScores
from tests.service.cache.conftest import CacheServer

pytestmark = pytest.mark.anyio


async def test_writers_that_find_no_generation_open_one_together(server: CacheServer) -> None:
    connections = [server.connect() for _ in range(8)]
    opened = await asyncio.gather(*(Generations(one).active_or_open("us", 3) for one in connections))
    assert len({generation.number for generation in opened}) == 1
    assert await Generations(connections[0]).all("us") == [opened[0]]
    for connection in connections:
        await connection.close()


async def test_a_record_tells_version_fill_time_and_state(cache: CacheStore) -> None:
    built = await cache.generations.create("us", 3, "fill-1", "building")
    assert await cache.generations.active("us") is None
    complete = await cache.generations.activate(built, 10, 20)
    active = await cache.generations.active("us")
    assert active == complete
    assert (complete.model_version, complete.fill_id, complete.state) == (3, "fill-1", "complete")
    assert (complete.queries, complete.pairs, complete.created_at) == (10, 20, built.created_at)


async def test_marketplaces_are_independent(cache: CacheStore) -> None:
    us = await cache.generations.active_or_open("us", 1)
    await cache.generations.active_or_open("es", 2)
    await cache.merge(us, [QueryScores("sofa", {"p": 0.9})])
    assert (await cache.read("es", "sofa")).status == "never_scored"


async def test_what_readers_see_is_not_discarded(cache: CacheStore) -> None:
    active = await cache.generations.active_or_open("us", 1)
    await cache.merge(active, [QueryScores("sofa", {"p": 0.9})])
    await cache.generations.discard(active)
    assert (await cache.read("us", "sofa")).status == "relevant"


async def test_removing_one_generation_leaves_the_others(cache: CacheStore) -> None:
    numbered = [await cache.generations.create("us", 1, "f", "building") for _ in range(11)]
    for generation in (numbered[0], numbered[10]):
        await cache.merge(generation, [QueryScores(f"q{place}", {"p": 0.9}) for place in range(1200)])
    await cache.generations.remove(numbered[0])
    await cache.generations.activate(numbered[10], 1200, 1200)
    assert (await cache.read("us", "q1199")).status == "relevant"


async def test_there_is_nothing_to_roll_back_to(cache: CacheStore) -> None:
    with pytest.raises(InputError, match="no earlier generation"):
        await cache.generations.rollback("us")


CUT = '{"marketplace": "us", "number": 1'
SPOILED = ['{"layout": 2}', "", CUT, b"\xff", "[]"]


async def built(cache: CacheStore) -> Generation:
    """A generation that a fill made, with one product."""
    generation = await cache.generations.create("us", 1, "fill", "building")
    await cache.merge(generation, [QueryScores("lamp", {"a": 0.9})])
    return await cache.generations.activate(generation, 1, 1)


def spoil(server: CacheServer, key: str, value: str | bytes) -> None:
    with server.bare() as client:
        client.delete(key)
        client.set(key, value)


@pytest.mark.parametrize("value", SPOILED)
async def test_an_active_record_that_cannot_be_read_is_named_and_replaced(
    cache: CacheStore, server: CacheServer, value: str | bytes
) -> None:
    generation = await built(cache)
    key = record_key("us", generation.number)
    spoil(server, key, value)
    pair = QueryProductPair("us", "lamp", Product("b", "t"))
    report = await ScoreWriter(cache, 1, frozenset()).write([ScoredPair(pair, 0.9, True)])
    assert report.cached == [False]
    assert key in report.notes[0]
    with pytest.raises(UnreadableRecordError, match=key), server.client() as client:
        client.lookup("us", "lamp")
    for refused in (
        cache.read("us", "lamp"),
        cache.generations.active("us"),
        cache.generations.all("us"),
        cache.generations.rollback("us"),
        cache.purge_query("us", "lamp"),
        cache.purge_products("us", ["a"]),
    ):
        with pytest.raises(UnreadableRecordError, match=rf"{key} .*purge-generation {generation.number}"):
            await refused
    number = await cache.generations.create("us", 2, "next", "building")
    await cache.merge(number, [QueryScores("lamp", {"c": 0.8})])
    active = await cache.generations.activate(number, 1, 1)
    assert await cache.generations.remove_older(active) == [generation.number]
    assert [product.id for product in (await cache.read("us", "lamp")).products] == ["c"]
    assert [one.number for one in await cache.generations.all("us")] == [number.number]


@pytest.mark.parametrize("value", SPOILED)
async def test_a_record_that_nobody_reads_is_purged_by_hand_or_by_the_next_fill(
    cache: CacheStore, server: CacheServer, value: str | bytes
) -> None:
    first, second, third = [await built(cache) for _ in range(3)]
    for generation in (first, second):
        spoil(server, record_key("us", generation.number), value)
    assert (await cache.read("us", "lamp")).status == "relevant"
    with pytest.raises(UnreadableRecordError):
        await cache.purge_products("us", ["a"])
    assert (await cache.read("us", "lamp")).status == "nothing_relevant"
    await cache.generations.purge("us", first.number)
    assert await cache.generations.remove_abandoned("us") == [second.number]
    assert [one.number for one in await cache.generations.all("us")] == [third.number]


async def test_an_active_generation_that_cannot_be_read_can_be_purged(
    cache: CacheStore, server: CacheServer
) -> None:
    generation = await built(cache)
    spoil(server, record_key("us", generation.number), "{}")
    await cache.generations.purge("us", generation.number)
    assert (await cache.read("us", "lamp")).status == "never_scored"
    with pytest.raises(InputError, match="no generation"):
        await cache.generations.purge("us", generation.number)


@pytest.mark.parametrize("value", ["abc", "", b"\xff", "-1", "1.5", "٣"])
async def test_a_pointer_that_is_no_number_is_named_and_replaced_by_the_next_fill(
    cache: CacheStore, server: CacheServer, value: str | bytes
) -> None:
    first = await built(cache)
    spoil(server, active_key("us"), value)
    for refused in (cache.read("us", "lamp"), cache.generations.active("us"), cache.generations.rollback("us")):
        with pytest.raises(UnreadableRecordError, match=active_key("us")):
            await refused
    await cache.generations.purge("us", first.number)
    assert (await built(cache)).number == 2
    assert (await cache.read("us", "lamp")).status == "relevant"


async def test_other_kinds_of_values_are_named_too(cache: CacheStore, server: CacheServer) -> None:
    generation = await built(cache)
    with server.bare() as client:
        for key in (record_key("us", generation.number), active_key("us"), counter_key("us")):
            client.delete(key)
            client.hset(key, "layout", "2")
        client.sadd(generations_key("us"), "seven")
    with pytest.raises(CacheUnavailableError, match="WRONGTYPE"):
        await cache.read("us", "lamp")
    with pytest.raises(UnreadableRecordError, match=record_key("us", generation.number)):
        await cache.generations.all("us")
    assert (await built(cache)).number == 2
    assert (await cache.read("us", "lamp")).status == "relevant"


async def test_a_lock_that_no_fill_took_is_taken_over_unless_it_expires(
    cache: CacheStore, server: CacheServer
) -> None:
    spoil(server, fill_lock_key("us"), "busy")
    async with held_fill_lock(cache.connection, "us", "one"):
        pass
    with server.bare() as client:
        client.set(fill_lock_key("us"), "busy", ex=60)
    with pytest.raises(UnreadableRecordError, match=fill_lock_key("us")):
        async with held_fill_lock(cache.connection, "us", "two"):
            pass


@pytest.mark.parametrize("odd", ["caf\udce9", "\ud800", "a\udfffb", "\udcc3\udca9 lamp"])
async def test_one_odd_query_spoils_no_batch(cache: CacheStore, server: CacheServer, odd: str) -> None:
    await built(cache)
    with server.client() as client:
        found = client.lookup_many("us", ["lamp", odd, "lamp", odd, "sofa"])
        assert [one.status for one in found] == [
            "relevant",
            "never_scored",
            "relevant",
            "never_scored",
            "never_scored",
        ]
        assert client.lookup("us", odd).status == "never_scored"
        assert client.lookup_many("us", []) == []
        for wrong in (None, 5, b"lamp"):
            with pytest.raises(InputError, match=r"queries\[1\]"):
                client.lookup_many("us", ["lamp", wrong])  # type: ignore[list-item]
        with pytest.raises(InputError, match="list of queries"):
            client.lookup_many("us", "lamp")
    reader = server.asynchronous()
    assert [one.status for one in await reader.lookup_many("us", [odd, "lamp"])] == ["never_scored", "relevant"]
    await reader.close()
