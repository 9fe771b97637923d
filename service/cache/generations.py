"""Generations: which entries belong together, to which model version, and which readers see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from model_store.errors import InputError
from model_store.query_normalisation import NORMALISATION_VERSION
from service.cache.keys import (
    active_key,
    checkpoint_key,
    counter_key,
    entries_prefix,
    entry_key,
    fill_lock_key,
    generations_key,
    record_key,
)
from service.cache.removed_products import RemovedProducts
from service.cache.server.connection import CacheConnection
from service.cache.server.errors import CacheRefusedError, UnreadableRecordError

DEFAULT_KEPT = 2
"""Generations that stay after a flip: the active one and one to go back to."""


class Generation(BaseModel):
    """One generation's record.

    `state` is `building` while a fill writes it, `complete` once that fill has been verified, or `open` where
    it was started by scores of requests, without a fill. `previous` is the generation that was read before
    this one. `queries`, `pairs`, `nothing_relevant` (queries without a product) and `kept_share` (of the scored
    pairs) are counted by the fill. From `expires_from` on entries may have expired. `normalisation` is the
    version of the rule by which its queries are normalised; a record that does not name it is of the first.
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
    nothing_relevant: int | None = None
    kept_share: float | None = None
    expires_from: datetime | None = None
    normalisation: int = 1


def entry_key_of(generation: Generation, query: str) -> str:
    """The sorted set of a query in a generation, by the rule that the generation was written by."""
    return entry_key(generation.marketplace, generation.number, query, generation.normalisation)


def parsed_record(marketplace: str, number: int, text: str | bytes) -> Generation:
    """A generation's record as it is kept.

    Raises:
        UnreadableRecordError: it is none that this version wrote.
    """
    try:
        generation = Generation.model_validate_json(text)
    except ValidationError as error:
        raise unreadable_record(marketplace, number) from error
    if (generation.marketplace, generation.number) != (marketplace, number):
        raise unreadable_record(marketplace, number)
    return generation


def parsed_pointer(marketplace: str, text: str | bytes) -> int:
    """The number of the generation that readers see, as it is kept.

    Raises:
        UnreadableRecordError: it is none.
    """
    if not (text.isascii() and text.isdigit()):
        raise UnreadableRecordError(
            active_key(marketplace),
            f"fill the cache again (python -m service fill ... --marketplace {marketplace})",
        )
    return int(text)


def unreadable_record(marketplace: str, number: int) -> UnreadableRecordError:
    """Says how to get rid of the record."""
    command = f"python -m service cache purge-generation {number} --marketplace {marketplace}"
    remedy = f"remove that generation ({command}), or fill the cache again"
    return UnreadableRecordError(record_key(marketplace, number), remedy)


class Generations:
    """Creates, activates and removes generations. Every method raises CacheUnavailableError.

    Where a record is none that this version wrote, what needs it raises UnreadableRecordError, which names the
    key; a fill and `purge` get rid of it.
    """

    def __init__(
        self, connection: CacheConnection, kept: int = DEFAULT_KEPT, seconds_to_live: float | None = None
    ) -> None:
        self._connection = connection
        self._kept = kept
        self._seconds_to_live = seconds_to_live
        self._removed = RemovedProducts(connection)

    async def create(
        self, marketplace: str, model_version: int, fill_id: str, state: Literal["building", "open"]
    ) -> Generation:
        """A new generation that nobody reads yet."""
        number = await self._next_number(marketplace)
        now, life = datetime.now(UTC), self._seconds_to_live
        generation = Generation(
            marketplace=marketplace,
            number=number,
            model_version=model_version,
            fill_id=fill_id,
            created_at=now,
            state=state,
            expires_from=None if life is None else now + timedelta(seconds=life),
            normalisation=NORMALISATION_VERSION,
        )
        await self._save(generation)
        await self._connection.add_member(generations_key(marketplace), number)
        return generation

    async def active(self, marketplace: str) -> Generation | None:
        """The generation that readers see, or None where nothing was ever cached."""
        number = await self._connection.get(active_key(marketplace))
        return None if number is None else await self.find(marketplace, parsed_pointer(marketplace, number))

    async def readable_active(self, marketplace: str) -> Generation | None:
        """As `active`, but None where its record cannot be read."""
        try:
            return await self.active(marketplace)
        except UnreadableRecordError:
            return None

    async def is_active(self, generation: Generation) -> bool:
        """Whether readers see a generation at this moment."""
        return await self._is_active(generation.marketplace, generation.number)

    async def _is_active(self, marketplace: str, number: int) -> bool:
        try:
            return await self._connection.get(active_key(marketplace)) == str(number)
        except UnreadableRecordError:
            return False

    async def _next_number(self, marketplace: str) -> int:
        key = counter_key(marketplace)
        try:
            return await self._connection.increment(key)
        except CacheRefusedError:
            # It is no number, or the user may not count; in the second case the next line is refused, too.
            await self._connection.put(key, str(max(await self._numbers(marketplace), default=0)))
            return await self._connection.increment(key)

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
        try:
            text = await self._connection.get(record_key(marketplace, number))
        except UnreadableRecordError as error:
            raise unreadable_record(marketplace, number) from error
        return None if text is None else parsed_record(marketplace, number, text)

    async def find_readable(self, marketplace: str, number: int) -> Generation | None:
        """As `find`, but None also where the record cannot be read."""
        try:
            return await self.find(marketplace, number)
        except UnreadableRecordError:
            return None

    async def all(self, marketplace: str) -> list[Generation]:
        """All generations of a marketplace, oldest first.

        Raises:
            UnreadableRecordError: the record of one of them cannot be read.
        """
        found, unreadable = await self.listed(marketplace)
        if unreadable:
            raise unreadable[0]
        return found

    async def listed(self, marketplace: str) -> tuple[list[Generation], list[UnreadableRecordError]]:
        """All generations of a marketplace, oldest first, and the records that cannot be read."""
        found: list[Generation] = []
        unreadable: list[UnreadableRecordError] = []
        for number in await self._numbers(marketplace):
            try:
                generation = await self.find(marketplace, number)
            except UnreadableRecordError as error:
                unreadable.append(error)
                continue
            if generation is not None:
                found.append(generation)
        return found, unreadable

    async def built(self, marketplace: str) -> tuple[list[int], list[UnreadableRecordError]]:
        """Numbers of all generations but those that are being filled, and the records that cannot be read.

        What has an unreadable record is among them: somebody else may read it.
        """
        found, unreadable = await self.listed(marketplace)
        building = {generation.number for generation in found if generation.state == "building"}
        return [number for number in await self._numbers(marketplace) if number not in building], unreadable

    async def _numbers(self, marketplace: str) -> list[int]:
        return sorted(await self._connection.members(generations_key(marketplace)))

    async def activate(
        self,
        built: Generation,
        queries: int,
        pairs: int,
        *,
        nothing_relevant: int | None = None,
        kept_share: float | None = None,
    ) -> Generation:
        """Mark a verified generation complete and let readers see it: one SET. May be done again.

        The generations that were read before stay for `rollback`. Products that were taken off sale while the
        generation was built are taken out of it first; `pairs` becomes smaller by so many.
        """
        if await self.is_active(built):
            # The reply to an earlier flip was lost.
            return await self.find(built.marketplace, built.number) or built
        counted = {"nothing_relevant": nothing_relevant, "kept_share": kept_share}
        complete = built.model_copy(update={"state": "complete", "queries": queries, "pairs": pairs, **counted})
        # Complete first: from here on whoever takes a product off sale takes it out of this generation too.
        await self._save(complete)
        lost = await self._removed.take_out_known(built.marketplace, built.number)
        while True:
            try:
                before = await self._connection.get(active_key(built.marketplace))
            except UnreadableRecordError:
                # Nobody can read by it.
                await self._connection.delete(active_key(built.marketplace))
                continue
            previous = int(before) if before is not None and before.isascii() and before.isdigit() else None
            complete = complete.model_copy(update={"pairs": pairs - lost, "previous": previous})
            await self._save(complete)
            if await self._connection.replace(active_key(built.marketplace), before, str(built.number)):
                return complete

    async def rollback(self, marketplace: str) -> Generation:
        """Let readers see the previous generation again: one SET.

        Raises:
            InputError: there is none.
        """
        key = active_key(marketplace)
        while True:
            active = await self.active(marketplace)
            previous = None
            if active is not None and active.previous is not None:
                previous = await self.find(marketplace, active.previous)
            if active is None or previous is None:
                raise InputError(
                    f"{marketplace!r} has no earlier generation to go back to; fill the cache again",
                    field="marketplace",
                )
            if not await self._connection.replace(key, str(active.number), str(previous.number)):
                continue
            if await self.find(marketplace, previous.number) is not None:
                return previous
            # It was removed in the meantime.
            await self._connection.replace(key, str(previous.number), str(active.number))

    async def remove_abandoned(self, marketplace: str, but: int | None = None) -> list[int]:
        """Remove what fills and removals left behind that were interrupted; the caller holds the fill lock.

        Args:
            but: the generation with which the caller goes on.
        """
        abandoned = []
        for number in await self._numbers(marketplace):
            generation = await self.find_readable(marketplace, number)
            is_left = number != but and (generation is None or generation.state == "building")
            if is_left and await self._remove(marketplace, number):
                abandoned.append(number)
        return abandoned

    async def remove_older(self, active: Generation) -> list[int]:
        """Keep `active` and those that rollbacks from it lead to, up to the number to keep; remove the others."""
        kept = {active.number}
        place: Generation | None = active
        while place is not None and place.previous is not None and len(kept) < self._kept:
            place = await self.find_readable(active.marketplace, place.previous)
            kept |= {place.number} if place else set()
        older = [number for number in await self._numbers(active.marketplace) if number not in kept]
        return [number for number in older if await self._remove(active.marketplace, number)]

    async def discard(self, generation: Generation) -> None:
        """Remove a generation unless readers see it: the flip may have happened though its reply was lost."""
        await self.remove(generation)

    async def purge(self, marketplace: str, number: int) -> None:
        """Remove one generation that nobody reads.

        Raises:
            InputError: there is no such generation, readers see it, or a fill runs that may flip to it.
        """
        try:
            if await self.find(marketplace, number) is None:
                raise InputError(f"{marketplace!r} has no generation {number}", field="generation")
        except UnreadableRecordError:
            # Readers who are sent to it see nothing but errors.
            await self._connection.remove(active_key(marketplace), str(number))
        try:
            active = await self._connection.get(active_key(marketplace))
            is_older = active is not None and number < parsed_pointer(marketplace, active)
        except UnreadableRecordError:
            is_older = False
        if not is_older and await self._connection.get(fill_lock_key(marketplace)):
            raise InputError(
                f"a fill of {marketplace!r} runs, and generation {number} may be its own; wait for it",
                field="generation",
            )
        if not await self._remove(marketplace, number):
            raise InputError(
                f"generation {number} of {marketplace!r} is the one that is read; fill the cache again or roll "
                "back first",
                field="generation",
            )

    async def remove(self, generation: Generation) -> None:
        """Remove a generation unless readers see it."""
        await self._remove(generation.marketplace, generation.number)

    async def _remove(self, marketplace: str, number: int) -> bool:
        """The record goes first, so that nobody flips to the generation and who writes to it notices.

        The number goes last, so that an interrupted removal is found again.
        """
        if await self._is_active(marketplace, number):
            return False
        try:
            record = await self._connection.get(record_key(marketplace, number))
        except UnreadableRecordError:
            record = None
        await self._connection.delete(record_key(marketplace, number))
        await self._connection.delete(checkpoint_key(marketplace, number))
        if await self._is_active(marketplace, number):
            if record is not None:
                await self._connection.put(record_key(marketplace, number), record)
            return False
        await self._connection.unlink_prefix(entries_prefix(marketplace, number))
        await self._connection.remove_member(generations_key(marketplace), number)
        return True

    async def _save(self, generation: Generation) -> None:
        key = record_key(generation.marketplace, generation.number)
        await self._connection.put(key, generation.model_dump_json())
