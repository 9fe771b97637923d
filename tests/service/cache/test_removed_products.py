from __future__ import annotations

import asyncio

import pytest

from model_store.product import Product, QueryProductPair
from service.cache.score_writer import ScoredPair, ScoreWriter
from service.cache.store import CacheStore, QueryScores
from tests.service.cache.conftest import CacheServer

pytestmark = pytest.mark.anyio


def entries(*products: str) -> list[QueryScores]:
    return [QueryScores(query, dict.fromkeys(products, 0.9)) for query in ("tea", "sofa")]


async def filled(cache: CacheStore, *products: str) -> None:
    built = await cache.generations.create("us", 1, "fill", "building")
    await cache.merge(built, entries(*products))
    await cache.generations.activate(built, 2, 2 * len(products))


async def found(cache: CacheStore, query: str = "tea") -> list[str]:
    return [product.id for product in (await cache.read("us", query)).products]


async def test_a_product_leaves_all_generations_and_its_last_place_gets_the_marker(cache: CacheStore) -> None:
    await filled(cache, "a", "b")
    await filled(cache, "a")
    assert await cache.purge_products("us", ["a"]) == 4
    assert (await cache.read("us", "tea")).status == "nothing_relevant"
    await cache.generations.rollback("us")
    assert await found(cache, "tea") == await found(cache, "sofa") == ["b"]


async def test_a_fill_under_way_is_left_alone_until_its_flip(cache: CacheStore) -> None:
    built = await cache.generations.create("us", 1, "fill", "building")
    await cache.merge(built, entries("a", "b"))
    assert await cache.purge_products("us", ["a"]) == 0
    await cache.merge(built, [QueryScores("chair", {"a": 0.9})])
    active = await cache.generations.activate(built, 3, 5)
    assert active.pairs == 2
    assert await found(cache) == ["b"]
    assert (await cache.read("us", "chair")).status == "nothing_relevant"


async def test_it_stays_away_until_it_is_on_sale_again(cache: CacheStore) -> None:
    await cache.purge_products("us", ["a"])
    await filled(cache, "a", "b")
    assert await found(cache) == ["b"]
    pair = ScoredPair(QueryProductPair("us", "tea", Product("a", "title")), 0.9, True)
    assert (await ScoreWriter(cache, 1, frozenset()).write([pair])).cached == [False]
    await cache.restore_products("us", ["a"])
    assert (await ScoreWriter(cache, 1, frozenset()).write([pair])).cached == [True]
    assert await found(cache) == ["b", "a"]


async def test_scores_of_requests_race_with_a_purge_and_lose(server: CacheServer) -> None:
    connections = [server.connect() for _ in range(6)]
    caches = [CacheStore(connection) for connection in connections]
    await filled(caches[0], "z")
    pairs = [
        ScoredPair(QueryProductPair("us", query, Product(name, "t")), 0.9, True)
        for query in ("tea", "sofa")
        for name in (f"p{number}" for number in range(20))
    ]

    async def write(cache: CacheStore) -> None:
        for _ in range(15):
            await ScoreWriter(cache, 1, frozenset()).write(pairs)

    async def purge(cache: CacheStore) -> None:
        for number in range(20):
            await cache.purge_products("us", [f"p{number}"])

    await asyncio.gather(*map(write, caches[1:]), purge(caches[0]))
    assert await found(caches[0], "tea") == await found(caches[0], "sofa") == ["z"]
    for connection in connections:
        await connection.close()


async def test_a_query_is_forgotten_in_all_generations(cache: CacheStore) -> None:
    await filled(cache, "a")
    await filled(cache, "b")
    assert await cache.purge_query("us", " TEA") == 2
    assert (await cache.read("us", "tea")).status == "never_scored"
    await cache.generations.rollback("us")
    assert (await cache.read("us", "tea")).status == "never_scored"
    assert await found(cache, "sofa") == ["a"]
