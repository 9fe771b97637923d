from __future__ import annotations

import asyncio

import pytest

from model_store.errors import InputError
from service.cache.generations import Generations
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
