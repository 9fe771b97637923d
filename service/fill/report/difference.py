"""What readers would notice if one generation took the place of another."""

from __future__ import annotations

from array import array
from typing import cast

import numpy as np
from pydantic import BaseModel, Field

from service.cache.generations import Generation
from service.cache.keys import entries_prefix
from service.cache.server.commands import Command
from service.cache.server.connection import CacheConnection

_MOST_EXAMPLES = 10


class Change(BaseModel):
    """Queries to which something happens, and some of them. Long ones are named by their digest."""

    queries: int = 0
    examples: list[str] = Field(default_factory=list)


class GenerationDifference(BaseModel):
    """Queries that only the new generation has, only the old one, or both with other products or scores."""

    gained: Change
    lost: Change
    changed: Change
    unchanged: int


class _Counting:
    """Scanning may name a key twice: 8 bytes a key tell."""

    def __init__(self) -> None:
        self._keys = array("q")
        self._examples: list[str] = []

    def add(self, part: str) -> None:
        self._keys.append(hash(part))
        if len(self._examples) < _MOST_EXAMPLES and part not in self._examples:
            self._examples.append(part)

    @property
    def queries(self) -> int:
        return len(np.unique(np.array(self._keys)))

    def change(self) -> Change:
        return Change(queries=self.queries, examples=sorted(part.removeprefix("q:") for part in self._examples))


async def difference(
    connection: CacheConnection, old: Generation | None, new: Generation
) -> GenerationDifference:
    """Compare all entries, in batches.

    Raises:
        CacheUnavailableError: the cache does not answer.
    """
    gained, lost, changed, unchanged = _Counting(), _Counting(), _Counting(), _Counting()
    new_prefix = entries_prefix(new.marketplace, new.number)
    if old is None:
        async for keys in connection.key_batches(new_prefix):
            for key in keys:
                gained.add(key.decode().removeprefix(new_prefix))
    else:
        old_prefix = entries_prefix(old.marketplace, old.number)
        async for keys in connection.key_batches(new_prefix):
            parts = [key.decode().removeprefix(new_prefix) for key in keys]
            entries = await _entries(connection, [new_prefix + part for part in parts])
            others = await _entries(connection, [old_prefix + part for part in parts])
            for part, entry, other in zip(parts, entries, others, strict=True):
                (gained if not other else unchanged if entry == other else changed).add(part)
        async for keys in connection.key_batches(old_prefix):
            parts = [key.decode().removeprefix(old_prefix) for key in keys]
            sizes = await connection.send([("ZCARD", new_prefix + part) for part in parts])
            for part, size in zip(parts, cast("list[int]", sizes), strict=True):
                if not size:
                    lost.add(part)
    return GenerationDifference(
        gained=gained.change(), lost=lost.change(), changed=changed.change(), unchanged=unchanged.queries
    )


async def _entries(connection: CacheConnection, keys: list[str]) -> list[object]:
    commands: list[Command] = [("ZREVRANGE", key, 0, -1, "WITHSCORES") for key in keys]
    return await connection.send(commands)
