from __future__ import annotations

import subprocess
import sys

import pytest

from model_store.errors import ConfigurationError
from service.cache.fill_lock import FillLock, LockOwner, held_fill_lock
from service.cache.keys import fill_lock_key
from service.cache.store import CacheStore

pytestmark = pytest.mark.anyio


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


async def test_a_dead_owner_of_this_machine_is_replaced_at_once(cache: CacheStore) -> None:
    dead = LockOwner.here("dead").model_copy(update={"process": dead_process()})
    await cache.connection.put(fill_lock_key("us"), dead.model_dump_json(), seconds=60)
    lock = FillLock(cache.connection, "us", "new")
    await lock.acquire()
    await lock.renew()


async def test_an_owner_on_another_machine_is_waited_for(cache: CacheStore) -> None:
    far = LockOwner(fill_id="far", host="elsewhere", process=dead_process())
    await cache.connection.put(fill_lock_key("us"), far.model_dump_json(), seconds=60)
    with pytest.raises(ConfigurationError, match="fill far of 'us' runs already"):
        await FillLock(cache.connection, "us", "new").acquire()


async def test_a_lost_lock_is_noticed_and_not_taken_from_its_new_owner(cache: CacheStore) -> None:
    async with held_fill_lock(cache.connection, "us", "slow") as lock:
        await cache.connection.delete(fill_lock_key("us"))
        async with held_fill_lock(cache.connection, "us", "other") as other:
            with pytest.raises(ConfigurationError, match="fill other of 'us' runs already"):
                await lock.renew()
            await lock.release()
            await other.renew()


async def test_a_lock_that_expired_is_taken_again(cache: CacheStore) -> None:
    async with held_fill_lock(cache.connection, "us", "slow") as lock:
        await cache.connection.delete(fill_lock_key("us"))
        await lock.renew()
        with pytest.raises(ConfigurationError, match="fill slow of 'us' runs already"):
            await FillLock(cache.connection, "us", "other").acquire()
