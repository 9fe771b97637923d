"""A failover in the middle of look-ups and of a fill: the new primary is found, and nothing is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from model_store.errors import CacheUnavailableError
from service.cache import AsyncOfflineCache, OfflineCache
from service.cache.keys import active_key, entries_prefix
from service.cache.server.connection import CacheConnection
from service.cache.server.errors import CacheRefusedError
from service.cache.store import CacheStore
from service.engine.scorer import Scorer
from service.fill.generation.record import FillRecordFile
from service.fill.job import FillJob
from service.fill.target import FillTarget
from tests.support.service.redis_servers import SentinelGroup, required, sentinel_group, wait_for_link
from tests.support.service.running import settings_for
from tests.support.service.watched_fill import write_candidates

pytestmark = pytest.mark.anyio

QUERIES, PRODUCTS = 20, 60


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    """One group for all tests; the last one is the one that ends its primary."""
    required("redis-server", "redis-sentinel")
    with sentinel_group(tmp_path_factory.mktemp("sentinels") / "group") as group:
        yield group


def entries(port: int) -> dict[bytes, list[tuple[bytes, float]]]:
    """What readers see, by query."""
    with Redis(port=port, password="data secret") as client:
        prefix = entries_prefix("us", int(client.get(active_key("us")) or 0)).encode()
        keys = sorted(client.scan_iter(match=prefix + b"*"))
        return {
            key.removeprefix(prefix): [(row[0], row[1]) for row in client.zrange(key, 0, -1, withscores=True)]
            for key in keys
        }


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ("data%20secret", "wrong", True),
        ("guard%20secret", "wrong", False),
        ("/shop/0", "/other/0", False),
        ("/shop/0", "/shop/99", True),
    ],
)
async def test_what_is_wrong_with_sentinels_is_told(
    group: SentinelGroup, old: str, new: str, refused: bool
) -> None:
    url = group.url.replace(old, new)
    connection = CacheConnection.open(url, timeout_seconds=2)
    with pytest.raises(CacheUnavailableError) as caught:
        await connection.ping()
    assert isinstance(caught.value, CacheRefusedError) is refused
    assert "secret" not in str(caught.value)
    with pytest.raises(CacheUnavailableError), OfflineCache.from_url(url) as client:
        client.lookup("us", "tea")
    with suppress(CacheUnavailableError):
        await connection.close()


async def test_look_ups_and_a_fill_outlive_the_primary(
    group: SentinelGroup, scorer: Scorer, tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(
        tiny_store,
        tmp_path,
        fill_folder=tmp_path / "fills",
        fill_chunk_pairs=32,
        fill_checkpoint_pairs=128,
        fill_wait_seconds=60,
    )
    connection = CacheConnection.open(group.url, timeout_seconds=0.5)
    target = FillTarget("us", scorer, CacheStore(connection, cap=10), settings)
    candidates = [write_candidates(tmp_path / "1.tsv", QUERIES, PRODUCTS)]
    whole = await FillJob(target, candidates).run()
    expected = entries(group.primary_port)
    assert len(expected) == QUERIES

    reader = AsyncOfflineCache.from_url(group.url, timeout_seconds=0.5, remember_seconds=0)
    plain = OfflineCache.from_url(group.url, timeout_seconds=0.5, remember_seconds=0)
    known = [await reader.lookup("us", "query 1"), plain.lookup("us", "query 1")]
    assert known[0] == known[1]
    assert known[0].status == "relevant"
    with Redis.from_url(f"redis://:data%20secret@127.0.0.1:{replica_port(group)}") as replica:
        wait_for_link(replica)

    filling = asyncio.create_task(FillJob(target, candidates).run())
    record = FillRecordFile(settings.fill_folder, "us")
    while (not filling.done() and (found := record.read()) is None) or (found and found.newest.number < 3):
        await asyncio.wait([filling], timeout=0.002)
    group.fail_over()
    with pytest.raises(CacheUnavailableError) as caught:
        await reader.lookup("us", "query 1")
    assert not isinstance(caught.value, CacheRefusedError)
    report = await filling
    assert report.counts.scored == whole.counts.scored
    assert group.current_port() != group.primary_port
    assert entries(group.current_port()) == expected
    for lookup in (reader.lookup("us", "query 1"), asyncio.to_thread(plain.lookup, "us", "query 1")):
        answer = await lookup
        assert answer.products == known[0].products
        assert answer.generation is not None
        assert answer.generation.number == report.generation
    assert "waiting for the cache" in capsys.readouterr().err
    await reader.close()
    plain.close()
    await connection.close()


def replica_port(group: SentinelGroup) -> int:
    (replica,) = group.sentinel.sentinel_slaves("shop")
    return int(replica["port"])
