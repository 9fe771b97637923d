from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from redis.cluster import RedisCluster

from service.cache import AsyncOfflineCache, OfflineCache
from service.cache.server.connection import CacheConnection
from service.cache.server.embedded import EmbeddedValkey
from service.cache.store import CacheStore
from tests.support.service.cluster import running_cluster


@dataclass(frozen=True)
class CacheServer:
    """A single server, or a cluster of three nodes, that is empty when a test begins."""

    url: str
    cluster: bool

    def connect(self) -> CacheConnection:
        return CacheConnection.open(self.url, cluster=self.cluster)

    def client(self, remember_seconds: float = 1.0) -> OfflineCache:
        return OfflineCache.from_url(self.url, cluster=self.cluster, remember_seconds=remember_seconds)

    def asynchronous(self, remember_seconds: float = 1.0) -> AsyncOfflineCache:
        return AsyncOfflineCache.from_url(self.url, cluster=self.cluster, remember_seconds=remember_seconds)

    def bare(self) -> Redis | RedisCluster:
        return RedisCluster.from_url(self.url) if self.cluster else Redis.from_url(self.url)


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as url:
        yield url


@pytest.fixture(params=["single", "cluster"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CacheServer]:
    if request.param == "single":
        embedded = EmbeddedValkey(tmp_path / "cache")
        yield CacheServer(embedded.url, cluster=False)
        embedded.leave()
        return
    found = CacheServer(request.getfixturevalue("cluster_url"), cluster=True)
    with RedisCluster.from_url(found.url) as nodes:
        nodes.flushall(target_nodes=RedisCluster.PRIMARIES)
    yield found


@pytest.fixture
async def cache(server: CacheServer) -> AsyncIterator[CacheStore]:
    connection = server.connect()
    yield CacheStore(connection)
    await connection.close()
