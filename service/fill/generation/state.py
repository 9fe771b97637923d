"""A fill's place in the cache and on disk: begun, found again, checkpointed, dropped."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from model_store.errors import CacheUnavailableError, ConfigurationError
from service.cache.generations import Generation
from service.cache.keys import checkpoint_key
from service.cache.store import CacheStore
from service.fill.generation.record import Checkpoint, FillRecord, FillRecordFile
from service.fill.report.histogram import ScoreHistogram
from service.fill.retry import RetryPolicy

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FillIdentity:
    """What is filled by which model; `determined_by` is a digest of everything that the result depends on."""

    marketplace: str
    model_version: int
    threshold: float
    determined_by: str


class WritesLostError(Exception):
    """The server was started again, and may not have what it acknowledged."""


class FillState:
    """The generation that a fill writes, and up to where all of it is there.

    A server that is started again has a beginning of what was written to it, in that order. So a number that is
    written after a part says, when it is found again, that the part is there too: `checkpoint_key`. The number is
    only ever written over the one before it, and counts if the server ran on while the part was written. On a
    cluster a number says nothing of the other nodes: there a node that was started again takes the fill back to
    its beginning.
    """

    def __init__(self, cache: CacheStore, file: FillRecordFile, retry: RetryPolicy, say: Say) -> None:
        self._cache = cache
        self.file = file
        self._retry = retry
        self._say = say
        self.record: FillRecord
        self.generation: Generation
        self.removed: list[int] = []
        self._known_number = 0

    async def open(self, fill: FillIdentity) -> None:
        """Resume the fill of the record, if it is the same one; else begin. Holds the fill lock.

        Raises:
            ConfigurationError: the record cannot be read.
            CacheUnavailableError: the cache does not answer.
        """
        record = self.file.read()
        found = await self._retry.run(lambda: self._found(record, fill.determined_by)) if record else None
        if record and found:
            self.record, self.generation = found
            self._say(f"resumes generation {self.generation.number} after row {_place(self.record)}")
        but = found[1].number if found else None
        self.removed += await self._retry.run(
            lambda: self._cache.generations.remove_abandoned(fill.marketplace, but)
        )
        if not found:
            await self._retry.run(lambda: self._begin(fill))

    async def _found(self, record: FillRecord, determined_by: str) -> tuple[FillRecord, Generation] | None:
        if record.determined_by != determined_by:
            self._say("an interrupted fill of other candidates, settings or another model version is dropped")
            return None
        generation = await self._cache.generations.find_readable(record.marketplace, record.generation)
        if generation is None or generation.fill_id != record.fill_id:
            self._say("begins from the start: the cache no longer has what the interrupted fill wrote")
            return None
        record = record.model_copy(update={"resumed": record.resumed + 1})
        if generation.state == "complete":
            return record, generation
        runs = await self._cache.connection.run_ids()
        number = await self._cache.connection.get(checkpoint_key(record.marketplace, record.generation))
        if number is None:
            self._say("begins from the start: the cache no longer has what the interrupted fill wrote")
            return None
        self._known_number = int(number)
        if self._cache.connection.is_cluster and runs != record.server_runs:
            record = record.back_to(0)
        else:
            record = record.back_to(self._known_number)
        record = record.model_copy(update={"server_runs": runs})
        self.file.write(record)
        return record, generation

    async def _begin(self, fill: FillIdentity) -> None:
        self.file.remove()
        connection = self._cache.connection
        now = datetime.now(UTC)
        fill_id = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        runs = await connection.run_ids()
        self.generation = await self._cache.generations.create(
            fill.marketplace, fill.model_version, fill_id, "building"
        )
        await connection.put(checkpoint_key(fill.marketplace, self.generation.number), "0")
        self._known_number = 0
        self.record = FillRecord(
            marketplace=fill.marketplace,
            determined_by=fill.determined_by,
            fill_id=fill_id,
            generation=self.generation.number,
            started_at=now,
            server_runs=runs,
            checkpoints=(Checkpoint(histogram=ScoreHistogram(threshold=fill.threshold)),),
        )
        self.file.write(self.record)

    async def check_same_servers(self) -> None:
        """Notice that a server was started again since the last checkpoint.

        Raises:
            WritesLostError: it was.
            CacheUnavailableError: the cache does not answer.
        """
        if await self._cache.connection.run_ids() != self.record.server_runs:
            raise WritesLostError

    async def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Note that everything up to a place is written. Give it no number: it gets one.

        Raises:
            WritesLostError: a server was started again.
            CacheUnavailableError: the cache does not answer.
        """
        old = self._known_number
        number = max(old, self.record.newest.number) + 1
        await self._retry.run(lambda: self._advance(str(old), str(number)))
        await self._retry.run(self.check_same_servers)
        self._known_number = number
        self.record = self.record.with_checkpoint(checkpoint.model_copy(update={"number": number}))
        self.file.write(self.record)

    async def _advance(self, old: str, new: str) -> None:
        connection = self._cache.connection
        key = checkpoint_key(self.record.marketplace, self.record.generation)
        if await connection.replace(key, old, new):
            return
        # The reply to the first try may have been lost.
        if await connection.get(key) != new:
            raise WritesLostError

    async def give_up(self) -> None:
        """Remove the generation, unless readers see it, and the record; what cannot be removed is named."""
        try:
            self.file.remove()
            await self._cache.generations.discard(self.generation)
        except (CacheUnavailableError, ConfigurationError) as error:
            self._say(f"the next fill removes generation {self.generation.number}: {error}")

    async def end(self) -> None:
        """Forget the record: readers see the generation."""
        self.file.remove()
        await self._retry.run(
            lambda: self._cache.connection.delete(checkpoint_key(self.record.marketplace, self.record.generation))
        )


def _place(record: FillRecord) -> str:
    reading = record.newest.reading
    return f"{reading.row} of file {reading.file + 1}"
