"""What can be wrong with the server behind the cache: it is away, it refuses, or it holds what is not ours."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)

from model_store.errors import CacheUnavailableError


class CacheRefusedError(CacheUnavailableError):
    """The server is there, and waiting will not make it do this: a wrong password, database or certificate."""


class UnreadableRecordError(CacheRefusedError):
    """A key holds what this version of the product did not write; the message names it."""

    def __init__(self, key: str, remedy: str) -> None:
        super().__init__(f"the cache's record {key} is none that this version reads; {remedy}")
        self.key = key


@contextmanager
def reported(name: str) -> Iterator[None]:
    """Turn what redis-py raises into CacheUnavailableError, or CacheRefusedError where waiting is of no use."""
    try:
        yield
    except (TimeoutError, RedisError, RedisClusterException, OSError) as error:
        reason = str(error) or type(error).__name__
        if _is_about_access(error):
            raise CacheRefusedError(
                f"the offline cache at {name} lets nobody in with these settings ({reason}); correct user, "
                "password, database number or TLS in REDIS_URL"
            ) from error
        if _is_refusal(error):
            raise CacheRefusedError(
                f"the offline cache at {name} refuses a command ({reason}); check the user's rights, and that no "
                "other program writes to these keys"
            ) from error
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


_ACCESS = (AuthenticationError, AuthenticationWrongNumberOfArgsError, AuthorizationError)
_ACCESS_TEXT = re.compile(
    r"NOAUTH|WRONGPASS|DB index|Invalid Database|SELECT is not allowed|invalid password", re.I
)
# A cluster's client keeps of its nodes' errors the text alone.
_ACCESS_OF_A_NODE = re.compile(r"NOAUTH|WRONGPASS|username-password|Authentication required|CERTIFICATE_", re.I)
_HEALING = (AskError, ClusterDownError, NoScriptError, OutOfMemoryError, ReadOnlyError, TryAgainError)
_HEALING_TEXT = re.compile(r"\b(BUSY|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|NOSCRIPT|OOM|READONLY|CLUSTERDOWN)\b")
# The server, or what stands before it, went away in the middle of the handshake.
_LOST_HANDSHAKES = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


def _is_about_access(error: BaseException) -> bool:
    return any(_tells_of_access(one) for one in _chain(error))


def _tells_of_access(error: BaseException) -> bool:
    if isinstance(error, NoPermissionError):
        return False
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, _LOST_HANDSHAKES) and "timed out" not in str(error)
    if isinstance(error, RedisClusterException):
        return _ACCESS_OF_A_NODE.search(str(error)) is not None
    return isinstance(error, _ACCESS) or (
        isinstance(error, RedisError) and _ACCESS_TEXT.search(str(error)) is not None
    )


def _is_refusal(error: BaseException) -> bool:
    if not isinstance(error, ResponseError) or isinstance(error, _HEALING):
        return False
    return _HEALING_TEXT.search(str(error)) is None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from; redis-py wraps what the socket raised without saying so."""
    current: BaseException | None = error
    while isinstance(current, RedisError | RedisClusterException | OSError):
        yield current
        current = current.__cause__ or current.__context__
