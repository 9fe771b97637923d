"""Clients for search engineers who read the offline cache directly; they need redis-py, no model."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from model_store.errors import ConfigurationError
from service.cache.connection import CacheConnection, Command, options_of, reported, without_password
from service.cache.look_ups import CacheAnswer, LookUps, driven

REMEMBER_SECONDS = 1.0
"""How long a client goes by the active generation that it knows."""

_TIMEOUT_SECONDS = 2.0


class OfflineCache:
    """Reads the cache of all marketplaces; may be shared by threads.

        with OfflineCache.from_url("redis://user:password@cache.example:6379/0") as cache:
            answer = cache.lookup("es", "cafetera blanca", min_score=0.8, limit=20)
            [product.id for product in answer.products]
            answers = cache.lookup_many("es", ["cafetera blanca", "funda de móvil"])

    The best products come first, equal scores in the descending order of the ids' bytes, as ZREVRANGE has them.
    A flip, a rollback, or a product taken off sale is seen after `remember_seconds` at the latest.

    Every method raises CacheUnavailableError when the server does not answer or refuses.
    """

    def __init__(self, client: Redis | RedisCluster, name: str, remember_seconds: float) -> None:
        self._client = client
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
        """Connect to `redis://`, `rediss://` (TLS) or `unix://`; user and password stand before the host.

        A single server is asked for at the first look-up, a cluster here for its nodes.

        Raises:
            ConfigurationError: the URL is not one.
            CacheUnavailableError: no node of the cluster answers.
        """
        kind: type[Redis] | type[RedisCluster] = RedisCluster if cluster else Redis
        retry = Retry(NoBackoff(), 1)
        try:
            with reported(without_password(url)):
                client = kind.from_url(
                    url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds, retry=retry
                )
        except ValueError as error:
            raise ConfigurationError(f"{error}; use e.g. redis://HOST:6379/0") from error
        return cls(client, without_password(url), remember_seconds)

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
        self._client.close()

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
    """The same for asyncio: `async with AsyncOfflineCache.from_url(...) as cache: await cache.lookup(...)`."""

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
        connection = CacheConnection.open(url, cluster=cluster, timeout_seconds=timeout_seconds)
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
