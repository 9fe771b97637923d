"""Opens the cache that the settings name: a Redis or Valkey, or the embedded one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.cache.connection import CacheConnection
from service.cache.embedded import EmbeddedValkey
from service.cache.keys import TimeToLive
from service.cache.store import CacheStore
from service.settings import ServiceSettings


@asynccontextmanager
async def opened_cache(settings: ServiceSettings) -> AsyncIterator[CacheStore]:
    """The cache while the context lasts; an external server need not be up.

    Raises:
        ConfigurationError: REDIS_URL is no URL, or CACHE_FOLDER cannot be written.
        CacheUnavailableError: the embedded server does not start.
    """
    embedded = None
    if settings.redis_url is None:
        # Not on a thread: if that were cancelled, nobody would leave the server that it starts.
        embedded = EmbeddedValkey(settings.cache_folder)
    try:
        connection = CacheConnection.open(
            embedded.url if embedded else str(settings.redis_url),
            cluster=settings.redis_cluster and embedded is None,
            timeout_seconds=settings.redis_timeout_seconds,
        )
        try:
            yield CacheStore(
                connection,
                settings.cache_products_per_query,
                settings.cache_generations,
                _time_to_live(settings),
            )
        finally:
            await connection.close()
    finally:
        if embedded is not None:
            embedded.leave()


def _time_to_live(settings: ServiceSettings) -> TimeToLive | None:
    seconds = settings.cache_seconds_to_live
    return None if seconds is None else TimeToLive(seconds, settings.cache_jitter)
