"""The client for search engineers who read the offline cache directly; it needs redis-py, no model.

    with OfflineCache.from_url("rediss://search:password@cache.example:6380/0?ssl_ca_certs=ca.pem") as cache:
        answer = cache.lookup("es", "cafetera blanca", min_score=0.8, limit=20)
        [product.id for product in answer.products]
        answers = cache.lookup_many("es", ["cafetera blanca", "funda de móvil"])

    async with AsyncOfflineCache.from_url("redis+sentinel://sentinel.example:26379/cache/0") as cache:
        answer = await cache.lookup("es", "cafetera blanca")

The best products come first, equal scores in the descending order of the ids' bytes, as ZREVRANGE has them.
A flip, a rollback, or a product taken off sale is seen after `remember_seconds` at the latest. A query that can
be in no cache (raw bytes that are not UTF-8) is `never_scored`.

What a URL may say is in `service.cache.server.address`. Every method raises CacheUnavailableError when the server
does not answer or refuses; of it, CacheRefusedError where asking again is of no use.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import cast

from redis import Redis
from redis.cluster import RedisCluster

from service.cache.look_ups import CacheAnswer, LookUps, driven
from service.cache.server.address import CacheAddress
from service.cache.server.commands import Command, options_of
from service.cache.server.connection import CacheConnection
from service.cache.server.errors import reported

REMEMBER_SECONDS = 1.0
"""How long a client goes by the active generation that it knows."""

_TIMEOUT_SECONDS = 2.0
_URL = "the URL of the cache"


class OfflineCache:
    """Reads the cache of all marketplaces; may be shared by threads."""

    def __init__(
        self,
        client: Redis | RedisCluster,
        name: str,
        remember_seconds: float,
        closed_with_it: Sequence[Redis] = (),
    ) -> None:
        self._client = client
        self._closed_with_it = closed_with_it
        self._name = name
        self._look_ups = LookUps(remember_seconds)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        cluster: bool = False,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        remember_seconds: float = REMEMBER_SECONDS,
    ) -> OfflineCache:
        """Connect to `redis://`, `rediss://` (TLS), `unix://`, `redis+sentinel://` or `rediss+sentinel://`.

        A server and sentinels are asked at the first look-up, a cluster here for its nodes.

        Raises:
            ConfigurationError: the URL is not one.
            CacheUnavailableError: no node of the cluster answers.
        """
        address = CacheAddress.parse(url, cluster=cluster, timeout_seconds=timeout_seconds, where=_URL)
        with reported(address.name):
            client, others = address.client()
        return cls(client, address.name, remember_seconds, others)

    def lookup(
        self, marketplace: str, query: str, *, min_score: float = 0.0, limit: int | None = None
    ) -> CacheAnswer:
        """The products of a query that reach `min_score`, at most `limit`: one ZREVRANGE.

        Raises:
            InputError: no marketplace's name, `min_score` outside [0, 1], or `limit` below 1.
        """
        return self.lookup_many(marketplace, [query], min_score=min_score, limit=limit)[0]

    def lookup_many(
        self, marketplace: str, queries: Sequence[str], *, min_score: float = 0.0, limit: int | None = None
    ) -> list[CacheAnswer]:
        """Answers in the order of the queries, in one round trip and all from one generation.

        Raises:
            InputError: as `lookup`.
        """
        steps = self._look_ups.steps(marketplace, queries, min_score, limit)
        try:
            commands = next(steps)
            while True:
                commands = steps.send(self._send(commands))
        except StopIteration as stop:
            return cast("list[CacheAnswer]", stop.value)

    def close(self) -> None:
        """Drop all connections."""
        for client in (self._client, *self._closed_with_it):
            client.close()

    def __enter__(self) -> OfflineCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, commands: Sequence[Command]) -> list[object]:
        with reported(self._name):
            if len(commands) == 1:
                only = commands[0]
                return [self._client.execute_command(*only, **options_of(only))]  # type: ignore[no-untyped-call]
            if isinstance(self._client, RedisCluster):
                pipeline = self._client.pipeline()  # type: ignore[no-untyped-call]
            else:
                pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command, **options_of(command))
            return cast("list[object]", pipeline.execute())


class AsyncOfflineCache:
    """The same for asyncio; may be shared by tasks."""

    def __init__(self, connection: CacheConnection, remember_seconds: float = REMEMBER_SECONDS) -> None:
        self._connection = connection
        self._look_ups = LookUps(remember_seconds)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        cluster: bool = False,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        remember_seconds: float = REMEMBER_SECONDS,
    ) -> AsyncOfflineCache:
        """As `OfflineCache.from_url`.

        Raises:
            ConfigurationError: the URL is not one.
        """
        connection = CacheConnection.open(url, cluster=cluster, timeout_seconds=timeout_seconds, where=_URL)
        return cls(connection, remember_seconds)

    async def lookup(
        self, marketplace: str, query: str, *, min_score: float = 0.0, limit: int | None = None
    ) -> CacheAnswer:
        """As `OfflineCache.lookup`.

        Raises:
            InputError: as there.
        """
        return (await self.lookup_many(marketplace, [query], min_score=min_score, limit=limit))[0]

    async def lookup_many(
        self, marketplace: str, queries: Sequence[str], *, min_score: float = 0.0, limit: int | None = None
    ) -> list[CacheAnswer]:
        """As `OfflineCache.lookup_many`.

        Raises:
            InputError: as there.
        """
        steps = self._look_ups.steps(marketplace, queries, min_score, limit)
        return await driven(steps, self._connection.send)

    async def close(self) -> None:
        """Drop all connections."""
        await self._connection.close()

    async def __aenter__(self) -> AsyncOfflineCache:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
