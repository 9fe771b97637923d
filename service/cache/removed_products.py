"""Products taken off sale: remembered for every marketplace, and taken out of all entries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

from service.cache.keys import entries_prefix, generation_of, marketplace_prefix, removed_key
from service.cache.server.commands import Row, Script
from service.cache.server.connection import CacheConnection

_TAKE_OUT = Script.from_file("take_out.lua")
_CHANGE = Script(
    "local number = redis.call('ZINCRBY', KEYS[1], 1, '')\n"
    "for i = 2, #ARGV do\n"
    "  if ARGV[1] == 'add' then redis.call('ZADD', KEYS[1], number, ARGV[i])\n"
    "  else redis.call('ZREM', KEYS[1], ARGV[i]) end\n"
    "end\n"
    "return 1\n"
)


@dataclass(frozen=True, slots=True)
class RemovedState:
    """The products off sale, and the number of the last change: another number means other products."""

    change: int
    ids: frozenset[str]


class RemovedProducts:
    """The set of products off sale. Every method raises CacheUnavailableError."""

    def __init__(self, connection: CacheConnection) -> None:
        self._connection = connection

    async def add(self, marketplace: str, ids: Sequence[str]) -> None:
        """Remember that products are off sale: who writes from now on leaves them out."""
        await self._connection.run_script(_CHANGE, [(removed_key(marketplace), ["add", *ids])])

    async def forget(self, marketplace: str, ids: Sequence[str]) -> None:
        """Products are on sale again: the next fill, or the next score of a request, may write them."""
        await self._connection.run_script(_CHANGE, [(removed_key(marketplace), ["forget", *ids])])

    async def state(self, marketplace: str) -> RemovedState:
        """All products off sale."""
        rows = await self._connection.sorted_set(removed_key(marketplace))
        change = next((number for name, number in rows if not name), 0)
        return RemovedState(change, frozenset(name for name, _ in rows if name))

    async def change(self, marketplace: str) -> int:
        """The number of the last change; 0 where nothing was ever taken off sale."""
        (number,) = await self._connection.send([("ZSCORE", removed_key(marketplace), "")])
        return 0 if number is None else int(cast("float", number))

    async def take_out_known(self, marketplace: str, generation: int) -> int:
        """Take all products off sale out of one generation; returns how many times one was in it."""
        state = await self.state(marketplace)
        return await self._sweep(entries_prefix(marketplace, generation), state.ids, None)

    async def take_out(self, marketplace: str, ids: Collection[str], generations: Collection[int]) -> int:
        """Take products out of all entries of some generations; returns how many times one was in them."""
        return await self._sweep(marketplace_prefix(marketplace), ids, (marketplace, frozenset(generations)))

    async def take_out_of(self, keys: Sequence[str], ids: Collection[str]) -> None:
        """Take products out of some entries."""
        if ids:
            await self._connection.run_script(_TAKE_OUT, [(key, sorted(ids)) for key in keys])

    async def _sweep(self, prefix: str, ids: Collection[str], only: tuple[str, frozenset[int]] | None) -> int:
        if not ids:
            return 0
        wanted, lost = {name.encode() for name in ids}, 0
        async for batch in self._connection.key_batches(prefix):
            keys = [key for key in batch if only is None or generation_of(key, only[0]) in only[1]]
            if not keys:
                continue
            found = await self._connection.send([("ZREVRANGE", key, 0, -1, "WITHSCORES") for key in keys])
            calls = [
                (key.decode(), sorted(hit))
                for key, rows in zip(keys, found, strict=True)
                if (hit := {name.decode() for name, _ in cast("list[Row]", rows) if name in wanted})
            ]
            replies = await self._connection.run_script(_TAKE_OUT, calls)
            lost += sum(cast("list[int]", replies))
        return lost
