from __future__ import annotations

from datetime import timedelta

import pytest

from service.cache.keys import LONGEST_QUERY_BYTES, TimeToLive, entries_prefix, entry_key, query_part, record_key
from service.cache.store import CacheStore, QueryScores
from tests.service.cache.conftest import CacheServer


def test_a_short_query_can_be_read_in_its_key() -> None:
    assert entry_key("us", 7, " USB  C cable") == "rc1n1:e:us:7:q:usb c cable"


def test_a_long_query_becomes_a_digest_of_fixed_size() -> None:
    first, second = query_part("x" * 5000), query_part("x" * 5001)
    assert first != second
    assert len(first) == len(second) == len("h:") + 32


def test_the_limit_is_counted_in_bytes() -> None:
    assert query_part("é" * (LONGEST_QUERY_BYTES // 2)).startswith("q:")
    assert query_part("é" * (LONGEST_QUERY_BYTES // 2) + "e").startswith("h:")


def test_a_query_that_looks_like_a_digest_is_no_other_querys_key() -> None:
    digest = query_part("x" * 5000)
    assert query_part(digest) == f"q:{digest}"


def test_a_generations_prefix_is_no_other_ones() -> None:
    assert not entry_key("us", 11, "a").startswith(entries_prefix("us", 1))


pytestmark = pytest.mark.anyio


def test_the_jitter_spreads_evenly_and_is_the_same_for_a_key() -> None:
    life = TimeToLive(1000, jitter=0.5)
    lives = sorted(life.milliseconds(f"key {number}") for number in range(10_000))
    assert 1_000_000 <= lives[0] < 1_001_000 < 1_499_000 < lives[-1] <= 1_500_000
    assert lives[5000] == pytest.approx(1_250_000, rel=0.02)
    assert life.milliseconds("a") == TimeToLive(1000, jitter=0.5).milliseconds("a")


async def test_without_one_nothing_expires(cache: CacheStore, server: CacheServer) -> None:
    generation = await cache.generations.active_or_open("us", 1)
    await cache.merge(generation, [QueryScores("tea", {"a": 0.9})])
    with server.bare() as bare:
        assert bare.pttl(entry_key("us", generation.number, "tea")) == -1
    assert generation.expires_from is None


async def test_it_runs_from_the_entrys_beginning(cache: CacheStore, server: CacheServer) -> None:
    short, long = TimeToLive(100, jitter=0), TimeToLive(1000, jitter=0)
    generation = await CacheStore(cache.connection, life=short).generations.active_or_open("us", 1)
    assert generation.expires_from == generation.created_at + timedelta(seconds=100)
    key = entry_key("us", generation.number, "tea")
    changes = [
        QueryScores("tea", {"a": 0.9}),
        QueryScores("tea", dropped={"a"}),
        QueryScores("tea", {"b": 0.9}),
    ]
    with server.bare() as bare:
        for life, change in zip((short, long, long), changes, strict=True):
            await CacheStore(cache.connection, life=life).merge(generation, [change])
            assert 0 < bare.pttl(key) <= 100_000
        await cache.purge_products("us", ["b"])
        assert bare.zrange(key, 0, -1) == [b""]
        assert 0 < bare.pttl(key) <= 100_000


async def test_an_expired_entry_is_told_from_never_scored(cache: CacheStore) -> None:
    lasting = CacheStore(cache.connection, life=TimeToLive(1000))
    generation = await lasting.generations.active_or_open("us", 1)
    assert (await lasting.read("us", "tea")).status == "never_scored"
    old = generation.model_copy(update={"expires_from": generation.created_at - timedelta(seconds=1)})
    await cache.connection.put(record_key("us", generation.number), old.model_dump_json())
    assert (await CacheStore(cache.connection).read("us", "tea")).status == "expired"


async def test_a_generation_is_read_by_its_own_rule(cache: CacheStore, server: CacheServer) -> None:
    generation = await cache.generations.active_or_open("us", 1)
    before = generation.model_copy(update={"normalisation": 1})
    # Records that were written before there was a second version do not name one.
    record = before.model_dump_json(exclude={"normalisation"})
    await cache.connection.put(record_key("us", generation.number), record)
    with server.bare() as bare:
        bare.zadd(f"rc1n1:e:us:{generation.number}:q:wi\u00adfi", {"old": 9000})
    assert [product.id for product in (await cache.read("us", "Wi\u00adFi")).products] == ["old"]
    await cache.merge(before, [QueryScores("wi\u00adfi", {"new": 0.95})])
    assert [product.id for product in (await cache.read("us", "wi\u00adfi")).products] == ["new", "old"]
    assert (await cache.read("us", "wifi")).status == "never_scored"
    assert await cache.purge_query("us", "WI\u00adFI") == 1


async def test_characters_that_nobody_sees_and_case_make_no_other_entry(cache: CacheStore) -> None:
    generation = await cache.generations.active_or_open("us", 1)
    await cache.merge(generation, [QueryScores("WiFi", {"a": 0.9})])
    for marketplace, query in (("us", "wi\u00adfi"), ("US", "\ufeffwifi"), (" Us", "wi\u200bfi")):
        assert (await cache.read(marketplace, query)).status == "relevant"
