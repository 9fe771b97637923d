"""What redis-py raises becomes the one error of the cache, and a cancellation that it swallows is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisClusterException, RedisError

from model_store.errors import CacheUnavailableError


@contextmanager
def reported(name: str) -> Iterator[None]:
    """Turn what redis-py raises into CacheUnavailableError."""
    try:
        yield
    except (TimeoutError, RedisError, RedisClusterException, OSError) as error:
        reason = str(error) or type(error).__name__
        raise CacheUnavailableError(
            f"the offline cache at {name} did not answer ({reason}); check that it runs, and REDIS_URL"
        ) from error


@contextmanager
def asked(name: str) -> Iterator[None]:
    """As `reported`, for a task that awaits redis-py.

    That waits by `asyncio.wait_for`, which in Python 3.11 swallows a cancellation that comes at the moment at
    which there is an answer.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        with reported(name):
            yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
