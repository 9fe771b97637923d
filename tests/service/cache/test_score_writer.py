from __future__ import annotations

import pytest

from model_store.product import Product, QueryProductPair
from service.cache.score_writer import ScoredPair, ScoreWriter, WriteReport
from service.cache.server.connection import CacheConnection
from service.cache.store import CacheStore

pytestmark = pytest.mark.anyio


def scored(query: str, product_id: str, score: float, marketplace: str = "us") -> ScoredPair:
    """A scored pair; 0.5 and above is highly relevant."""
    return ScoredPair(QueryProductPair(marketplace, query, Product(product_id, "title")), score, score >= 0.5)


async def write(cache: CacheStore, *pairs: ScoredPair, version: int = 1, without: str = "") -> WriteReport:
    return await ScoreWriter(cache, version, frozenset(without.split())).write(pairs)


async def found(cache: CacheStore, query: str, marketplace: str = "us") -> list[str]:
    return [product.id for product in (await cache.read(marketplace, query)).products]


async def test_spellings_of_a_query_share_an_entry_and_marketplaces_do_not(cache: CacheStore) -> None:
    report = await write(
        cache,
        scored("Sofa", "a", 0.6),
        scored("sofa", "b", 0.4, "es"),
        scored(" SOFA ", "c", 0.9),
        scored("sofa", "d", 0.4),
    )
    assert report == WriteReport([True, False, True, False], [])
    assert await found(cache, "sofa") == ["c", "a"]
    assert (await cache.read("es", "sofa")).status == "nothing_relevant"


async def test_of_a_product_scored_twice_the_last_score_counts(cache: CacheStore) -> None:
    report = await write(cache, scored("sofa", "a", 0.9), scored("sofa", "b", 0.2), scored("SOFA", "a", 0.1))
    assert report.cached == [False, False, False]
    assert (await cache.read("us", "sofa")).status == "nothing_relevant"
    assert (await write(cache, scored("sofa", "a", 0.1), scored("sofa", "a", 0.9))).cached == [False, True]
    assert await found(cache, "sofa") == ["a"]


async def test_what_has_no_room_is_not_said_to_be_cached(cache: CacheStore) -> None:
    small = CacheStore(cache.connection, cap=2)
    report = await write(
        small, *(scored("tea", name, score) for name, score in (("a", 0.6), ("b", 0.9), ("c", 0.7)))
    )
    assert report.cached == [False, True, True]
    assert await found(small, "tea") == ["b", "c"]


async def test_the_rest_is_written_where_one_marketplace_is_not(cache: CacheStore) -> None:
    await cache.generations.active_or_open("es", 99)
    report = await write(
        cache,
        scored("sofa", "a", 0.9, "jp"),
        scored("sofa", "b", 0.9, "es"),
        scored("sofa", "c", 0.9),
        without="jp",
    )
    assert report.cached == [False, False, True]
    assert report.notes[0].startswith("jp: the model version has no threshold")
    assert "was filled by model version 99, this is version 1" in report.notes[1]
    assert (await cache.read("es", "sofa")).status == "never_scored"


async def test_a_cache_that_is_away_is_noted_once(cache: CacheStore) -> None:
    connection = CacheConnection.open("redis://127.0.0.1:1")
    report = await write(CacheStore(connection), scored("sofa", "a", 0.9), scored("sofa", "b", 0.9, "es"))
    await connection.close()
    assert report.cached == [False, False]
    assert len(report.notes) == 1
    assert "did not answer" in report.notes[0]
