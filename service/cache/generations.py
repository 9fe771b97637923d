"""Generations: which entries belong together, to which model version, and which readers see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from model_store.errors import InputError
from service.cache.connection import CacheConnection
from service.cache.keys import active_key, counter_key, entries_prefix, generations_key, record_key


class Generation(BaseModel):
    """One generation's record.

    `state` is `building` while a fill writes it, `complete` once that fill has been verified, or `open` where
    it was started by scores of requests, without a fill. `previous` is the generation that was read before
    this one. `queries` and `pairs` are counted by the fill.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    marketplace: str
    number: int
    model_version: int
    fill_id: str
    created_at: datetime
    state: Literal["building", "complete", "open"]
    previous: int | None = None
    queries: int | None = None
    pairs: int | None = None


class Generations:
    """Creates, activates and removes generations. Every method raises CacheUnavailableError."""

    def __init__(self, connection: CacheConnection) -> None:
        self._connection = connection

    async def create(
        self, marketplace: str, model_version: int, fill_id: str, state: Literal["building", "open"]
    ) -> Generation:
        """A new generation that nobody reads yet."""
        number = await self._connection.increment(counter_key(marketplace))
        generation = Generation(
            marketplace=marketplace,
            number=number,
            model_version=model_version,
            fill_id=fill_id,
            created_at=datetime.now(UTC),
            state=state,
        )
        await self._save(generation)
        await self._connection.add_member(generations_key(marketplace), number)
        return generation

    async def active(self, marketplace: str) -> Generation | None:
        """The generation that readers see, or None where nothing was ever cached."""
        number = await self._connection.get(active_key(marketplace))
        return None if number is None else await self.find(marketplace, int(number))

    async def active_or_open(self, marketplace: str, model_version: int) -> Generation:
        """The active generation; where there is none, a new open one, made active."""
        active = await self.active(marketplace)
        if active is not None:
            return active
        opened = await self.create(marketplace, model_version, "score", "open")
        if await self._connection.put(active_key(marketplace), str(opened.number), if_absent=True):
            return opened
        await self.remove(opened)
        return await self.active(marketplace) or opened

    async def find(self, marketplace: str, number: int) -> Generation | None:
        """The record of a generation, or None."""
        text = await self._connection.get(record_key(marketplace, number))
        return None if text is None else Generation.model_validate_json(text)

    async def all(self, marketplace: str) -> list[Generation]:
        """All generations of a marketplace, oldest first."""
        numbers: list[int] = sorted(await self._connection.members(generations_key(marketplace)))
        found = [await self.find(marketplace, number) for number in numbers]
        return [generation for generation in found if generation is not None]

    async def activate(self, built: Generation, queries: int, pairs: int) -> Generation:
        """Mark a verified generation complete and let readers see it: one SET.

        The generation that was read before stays for `rollback`.
        """
        before = await self._connection.get(active_key(built.marketplace))
        complete = built.model_copy(
            update={
                "state": "complete",
                "queries": queries,
                "pairs": pairs,
                "previous": None if before is None else int(before),
            }
        )
        await self._save(complete)
        await self._connection.put(active_key(built.marketplace), str(built.number))
        return complete

    async def rollback(self, marketplace: str) -> Generation:
        """Let readers see the previous generation again: one SET.

        Raises:
            InputError: there is none.
        """
        active = await self.active(marketplace)
        previous = None
        if active is not None and active.previous is not None:
            previous = await self.find(marketplace, active.previous)
        if previous is None:
            raise InputError(
                f"{marketplace!r} has no earlier generation to go back to; fill the cache again",
                field="marketplace",
            )
        await self._connection.put(active_key(marketplace), str(previous.number))
        return previous

    async def remove_abandoned(self, marketplace: str) -> list[int]:
        """Remove what fills left behind that were interrupted; the caller holds the fill lock."""
        active = await self._connection.get(active_key(marketplace))
        abandoned = [
            generation
            for generation in await self.all(marketplace)
            if generation.state == "building" and str(generation.number) != active
        ]
        for generation in abandoned:
            await self.remove(generation)
        return [generation.number for generation in abandoned]

    async def remove_older(self, active: Generation) -> list[int]:
        """Remove all but the active generation and the one to roll back to."""
        older = [
            generation
            for generation in await self.all(active.marketplace)
            if generation.number not in (active.number, active.previous)
        ]
        for generation in older:
            await self.remove(generation)
        return [generation.number for generation in older]

    async def discard(self, generation: Generation) -> None:
        """Remove a generation unless readers see it: the flip may have happened though its reply was lost."""
        if await self._connection.get(active_key(generation.marketplace)) != str(generation.number):
            await self.remove(generation)

    async def remove(self, generation: Generation) -> None:
        """Remove a generation's entries, then its record, so that an interrupted removal is found again."""
        marketplace, number = generation.marketplace, generation.number
        await self._connection.unlink_prefix(entries_prefix(marketplace, number))
        await self._connection.delete(record_key(marketplace, number))
        await self._connection.remove_member(generations_key(marketplace), number)

    async def _save(self, generation: Generation) -> None:
        key = record_key(generation.marketplace, generation.number)
        await self._connection.put(key, generation.model_dump_json())
