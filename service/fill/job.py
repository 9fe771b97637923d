"""The batch fill: candidates are scored into a new generation, which is verified and then flipped to."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from model_store.errors import CacheUnavailableError, ConfigurationError, PartialFlipError, RelevanceError
from service.cache.fill_lock import FillLock, held_fill_lock
from service.cache.generations import Generation
from service.fill.candidates.chunks import CandidateFile, UselessCandidatesError
from service.fill.candidates.traffic import HeadAndTorso, TrafficCoverage
from service.fill.generation.record import FillRecordFile, fingerprint
from service.fill.generation.state import FillIdentity, FillState, WritesLostError
from service.fill.generation.verification import EntriesLostError, GenerationChecks, RescoringError
from service.fill.options import FillOptions
from service.fill.report.difference import GenerationDifference, difference
from service.fill.report.progress import FillProgress, Progress
from service.fill.report.report import FillCounts, FillReport, shown_path
from service.fill.report.stage_times import StageTimes
from service.fill.retry import RetryPolicy
from service.fill.scan import LOCAL, FillEngine, Scan, ScanInput
from service.fill.target import FillTarget


class FillJob:
    """One fill of one marketplace.

    Readers see the old generation until the new one has been verified. A fill that is killed, cancelled or left
    by the cache resumes from its last checkpoint when it is run again; what it then makes is, byte for byte, what
    it would have made.

    Args:
        progress: shows how far the fill is; standard error if None.
        engine: what goes through the files: this process, or one that has others do it.

    Raises:
        InputError: an unknown marketplace, a file that cannot be read.
        ConfigurationError: the model version has no threshold for the marketplace.
    """

    def __init__(
        self,
        target: FillTarget,
        paths: Sequence[Path],
        options: FillOptions | None = None,
        progress: Progress | None = None,
        engine: FillEngine = LOCAL,
    ) -> None:
        self._target = target
        self._threshold = target.threshold()
        self._options = options or FillOptions()
        settings = target.settings
        self._files = [CandidateFile(path, target.marketplace, settings.max_text_characters) for path in paths]
        self._progress = progress or FillProgress(target.marketplace)
        self._engine = engine
        self._retry = RetryPolicy(settings.fill_wait_seconds, self._progress.say)
        self._record_file = FillRecordFile(settings.fill_folder, target.marketplace)
        self._state = FillState(target.cache, self._record_file, self._retry, self._progress.say)
        self._checks = GenerationChecks(target, self._state, self._retry)
        self._chosen = self._read_traffic()
        self._counts = FillCounts()
        self._times = StageTimes()
        self._flip_or_forget = threading.Lock()
        self._forgotten = self._flips = self._flipped = False

    @property
    def marketplace(self) -> str:
        """The one that is filled."""
        return self._target.marketplace

    @property
    def flipped(self) -> bool:
        """Whether readers see the new generation."""
        return self._flipped

    @property
    def counts(self) -> FillCounts:
        """What was counted so far."""
        return self._counts

    def _read_traffic(self) -> HeadAndTorso | None:
        traffic = self._options.traffic
        if traffic is None:
            return None
        return HeadAndTorso.read(traffic, self._target.marketplace, self._options.coverage)

    async def run(self) -> FillReport:
        """Fill, verify, flip.

        Raises:
            InputError: too many bad rows (more than FILL_BAD_ROW_SHARE), or no good one.
            ConfigurationError: another fill of the marketplace runs.
            VerificationError: the generation differs too much from the last one.
            CacheUnavailableError: the cache stays away, or does not hold what was written.
            PartialFlipError: the cache went away at the flip.
        """
        name, connection = self._target.marketplace, self._target.cache.connection
        started = time.monotonic()
        self._times = StageTimes()
        self._progress.start(sum(file.size for file in self._files))
        try:
            self._progress.enter("preparing")
            await self._retry.run(connection.ping)
            async with held_fill_lock(connection, name, secrets.token_hex(4)) as lock:
                return await self._run(lock, started)
        finally:
            self._progress.stop()

    def forget(self) -> bool:
        """Let nothing stay of the fill when it is cancelled; from any thread, just before it is.

        Returns:
            False if it is too late, as readers are about to see the generation, or see it.
        """
        with self._flip_or_forget:
            self._forgotten = not self._flips
            return self._forgotten

    async def _run(self, lock: FillLock, started: float) -> FillReport:
        if self._options.restart:
            self._record_file.remove()
        await self._open_state()
        try:
            return await self._filled(lock, started)
        except asyncio.CancelledError:
            if self._forgotten:
                await self._state.give_up()
            raise

    async def _filled(self, lock: FillLock, started: float) -> FillReport:
        scored_before, memory_before = self._state.record.newest.scored, await self._used_memory()
        try:
            rejected = await self._write_candidates()
            memory = await self._used_memory() - memory_before
            self._progress.enter("verifying")
            await self._checks.verify(self._counts)
        except (UselessCandidatesError, EntriesLostError, RescoringError):
            await self._state.give_up()
            raise
        if not (self._options.accept_changes or self._options.dry_run):
            await self._checks.compare_shares(self._counts)
        generation, changes = self._state.generation, None
        if self._options.dry_run:
            changes = await self._difference()
        else:
            generation = await self._flip(lock)
        seconds = time.monotonic() - started
        scored = self._counts.scored - scored_before
        return FillReport(
            fill_id=self._state.record.fill_id,
            marketplace=generation.marketplace,
            files=[shown_path(file.path) for file in self._files],
            model_version=generation.model_version,
            threshold=self._threshold,
            generation=generation.number,
            flipped=not self._options.dry_run,
            resumed=self._state.record.resumed,
            previous_generation=generation.previous,
            removed_generations=self._state.removed,
            counts=self._counts,
            kept_share=self._counts.kept_share,
            histogram=self._state.record.newest.histogram,
            stages=self._times.report(),
            traffic=self._traffic_report(),
            difference=changes,
            rejected_rows=shown_path(rejected) if rejected else None,
            started_at=self._state.record.started_at,
            seconds=round(seconds, 3),
            pairs_per_second=round(scored / max(seconds, 1e-9), 1),
            redis_bytes=memory,
        )

    def _traffic_report(self) -> TrafficCoverage | None:
        if self._chosen is None or self._options.traffic is None:
            return None
        return self._chosen.report.model_copy(update={"file": shown_path(self._options.traffic)})

    async def _open_state(self) -> None:
        target = self._target
        version = target.scorer.model_version
        identity = FillIdentity(target.marketplace, version, self._threshold, self._determined_by())
        await self._state.open(identity)

    def _determined_by(self) -> str:
        """A digest of everything that the result depends on, bit by bit."""
        target, settings, scorer = self._target, self._target.settings, self._target.scorer
        parts = [
            target.marketplace,
            scorer.manifest.model_dump_json(),
            scorer.choice.name,
            self._engine.name,
            *map(str, (scorer.token_budget, settings.fill_chunk_pairs, settings.fill_checkpoint_pairs)),
            *map(str, (settings.fill_rescored_pairs, settings.max_text_characters)),
            *map(str, (target.cache.cap, target.cache.life)),
            self._chosen.fingerprint if self._chosen else "",
            *(fingerprint(file.path, file.size) for file in self._files),
        ]
        return blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()

    async def _write_candidates(self) -> Path | None:
        """The file of the rejected rows, if there are any."""
        self._progress.enter("scoring")
        source = ScanInput(
            self._target, self._files, self._chosen, self._state, self._retry, self._progress, self._times
        )
        while True:
            scan = Scan(source)
            self._counts = scan.counts
            try:
                if not scan.start.complete:
                    await self._engine.scan(scan)
                self._counts.queries = await asyncio.to_thread(scan.queries.distinct)
            except WritesLostError:
                self._progress.say("the server was started again; goes back to the last checkpoint it knows")
                await self._open_state()
                continue
            finally:
                scan.close()
            return scan.rejected.path

    async def _difference(self) -> GenerationDifference:
        self._progress.enter("comparing")
        connection, new = self._target.cache.connection, self._state.generation
        active = self._target.cache.generations.readable_active
        old = await self._retry.run(lambda: active(new.marketplace))
        return await self._retry.run(lambda: difference(connection, old, new))

    async def _flip(self, lock: FillLock) -> Generation:
        generations, counts, built = self._target.cache.generations, self._counts, self._state.generation
        await self._retry.run(lock.renew)
        await self._retry.run(self._check_present)
        self._begin_flip()
        try:
            active = await self._retry.run(
                lambda: generations.activate(
                    built,
                    counts.queries,
                    counts.cached,
                    nothing_relevant=counts.nothing_relevant,
                    kept_share=counts.kept_share,
                )
            )
        except CacheUnavailableError as error:
            raise PartialFlipError(
                f"{error} -- it went away at the flip: readers of {built.marketplace!r} see the old or the new "
                "generation, whole; run the same command again"
            ) from error
        self._flipped = True
        await self._remove_what_is_older(active)
        return active

    async def _remove_what_is_older(self, active: Generation) -> None:
        """Readers see the generation already: what goes wrong here is a message, and left to the next fill."""
        try:
            remove = self._target.cache.generations.remove_older
            self._state.removed += await self._retry.run(lambda: remove(active))
            await self._state.end()
        except RelevanceError as error:
            self._progress.say(f"older generations, or the checkpoint, stay until the next fill: {error}")

    def _begin_flip(self) -> None:
        with self._flip_or_forget:
            if self._forgotten:
                raise asyncio.CancelledError
            self._flips = True
        self._progress.enter("flipping")

    async def _check_present(self) -> None:
        built = self._state.generation
        if await self._target.cache.generations.find(built.marketplace, built.number) is None:
            raise ConfigurationError(
                f"another fill of {built.marketplace!r} removed generation {built.number}; run this one again"
            )

    async def _used_memory(self) -> int:
        return await self._retry.run(self._target.cache.connection.used_memory)
