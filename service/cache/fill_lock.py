"""At most one fill of a marketplace at a time; a lock whose owner died is taken over."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pydantic import BaseModel, ConfigDict, ValidationError

from model_store.errors import CacheUnavailableError, ConfigurationError
from service import background
from service.cache.keys import fill_lock_key
from service.cache.server.commands import Script
from service.cache.server.connection import CacheConnection
from service.cache.server.errors import UnreadableRecordError

LOCK_SECONDS = 60
"""A lock that is not renewed for so long is free."""

_RENEWALS_PER_TERM = 4
_RENEWING = "renewing the fill lock"
_of_this_process: set[str] = set()
"""Fills that hold a lock or ask for one: a server that lost its last seconds may bring another lock back."""
_REPLACE = Script(
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
    "if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end\n"
    "redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])\n"
    "return 1\n"
)
_TAKE_LASTING = Script(
    "if redis.call('TTL', KEYS[1]) ~= -1 then return 0 end\n"
    "redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])\n"
    "return 1\n"
)


class LockOwner(BaseModel):
    """Who fills: enough to tell whether that process still runs, if it is on this machine."""

    model_config = ConfigDict(frozen=True)

    fill_id: str
    host: str
    process: int

    @classmethod
    def here(cls, fill_id: str) -> LockOwner:
        """This process."""
        return cls(fill_id=fill_id, host=socket.gethostname(), process=os.getpid())

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine that no longer runs, or a fill of this process that ended."""
        if self.host != socket.gethostname():
            return False
        if self.process == os.getpid():
            return self.fill_id not in _of_this_process
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


class FillLock:
    """The lock of one marketplace while `held_fill_lock` lasts."""

    def __init__(self, connection: CacheConnection, marketplace: str, fill_id: str) -> None:
        self._connection = connection
        self._marketplace = marketplace
        self._key = fill_lock_key(marketplace)
        self._value = LockOwner.here(fill_id).model_dump_json()

    async def acquire(self) -> None:
        """Take the lock, also from a process that is gone.

        Raises:
            ConfigurationError: another fill of the marketplace runs.
        UnreadableRecordError: the lock is none of ours.
        """
        if await self._connection.put(self._key, self._value, if_absent=True, seconds=LOCK_SECONDS):
            return
        held = await self._connection.get(self._key)
        if held is None:
            await self.acquire()
            return
        owner = await self._owner(held)
        if owner is None:
            return
        if not owner.is_gone or not await self._replace(held, self._value):
            raise ConfigurationError(
                f"fill {owner.fill_id} of {self._marketplace!r} runs already (process {owner.process} on "
                f"{owner.host}); wait for it, or stop it and wait {LOCK_SECONDS} s"
            )

    async def _owner(self, held: str) -> LockOwner | None:
        """Who holds the lock; None if it was none of ours, and is taken over.

        Raises:
            UnreadableRecordError: nobody knows whose it is, but it expires.
        """
        try:
            return LockOwner.model_validate_json(held)
        except ValidationError as error:
            # Every lock of a fill expires.
            arguments: list[str | int] = [self._value, LOCK_SECONDS]
            if await self._connection.run_script(_TAKE_LASTING, [(self._key, arguments)]) == [1]:
                return None
            raise UnreadableRecordError(self._key, "wait until it expires, and start the fill again") from error

    async def renew(self) -> None:
        """Hold the lock for another term, also after it expired, as the server could not be reached in time.

        Raises:
            ConfigurationError: another fill of the marketplace runs now.
        """
        if not await self._replace(self._value, self._value):
            await self.acquire()

    async def renew_if_possible(self) -> None:
        """As `renew`, but a cache that is away, or another fill, is no error."""
        with suppress(CacheUnavailableError, ConfigurationError):
            await self.renew()

    async def release(self) -> None:
        """Give the lock up, if it is still held."""
        await self._replace(self._value, "")

    async def _replace(self, old: str, new: str) -> bool:
        replies = await self._connection.run_script(_REPLACE, [(self._key, [old, new, LOCK_SECONDS])])
        return replies == [1]


@asynccontextmanager
async def held_fill_lock(connection: CacheConnection, marketplace: str, fill_id: str) -> AsyncIterator[FillLock]:
    """Hold the lock and renew it in the background; call `renew` before what needs it.

    Raises:
        ConfigurationError: another fill of the marketplace runs.
        CacheUnavailableError: the cache does not answer.
    """
    lock = FillLock(connection, marketplace, fill_id)
    _of_this_process.add(fill_id)
    try:
        await lock.acquire()
        # Whoever holds the lock renews it once more before what needs it, and learns then that it is lost.
        renewing = background.repeat(_RENEWING, LOCK_SECONDS / _RENEWALS_PER_TERM, lock.renew_if_possible)
        heartbeat = background.start(_RENEWING, renewing)
        try:
            yield lock
        finally:
            heartbeat.cancel()
            await asyncio.wait([heartbeat])
            # A lock that cannot be given up expires.
            with suppress(CacheUnavailableError):
                await lock.release()
    finally:
        _of_this_process.discard(fill_id)
