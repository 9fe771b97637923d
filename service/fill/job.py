"""The batch fill: candidates are scored into a new generation, which is verified and then flipped to."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from model_store.errors import CacheUnavailableError, ConfigurationError, InputError
from model_store.product import QueryProductPair
from service.cache.fill_lock import held_fill_lock
from service.cache.generations import Generation
from service.cache.keys import entries_prefix
from service.cache.offline_cache import OfflineCache
from service.engine.micro_batching import MicroBatching, ScoredPairs
from service.engine.scorer import Scorer
from service.fill.candidates import CandidateFile, OtherMarketplace
from service.fill.generation_writer import GenerationWriter
from service.fill.progress import FillProgress
from service.fill.rejected_rows import RejectedRows
from service.fill.report import FillCounts, FillReport
from service.fill.table_rows import BadRow
from service.settings import ServiceSettings

_CHUNKS_AHEAD = 2
_ROWS_BEFORE_STOPPING = 1000
"""From here on a share of bad rows above the limit stops the job at once, not only at the end."""


@dataclass(frozen=True, slots=True)
class FillTarget:
    """What a fill works with."""

    marketplace: str
    scorer: Scorer
    cache: OfflineCache
    settings: ServiceSettings


class FillJob:
    """One fill of one marketplace.

    Readers see the old generation until the new one has been verified. Whatever ends the job before that,
    the new generation is removed, by this job or, after a kill, by the next one.

    Raises:
        InputError: an unknown marketplace, a file that cannot be read.
        ConfigurationError: the model version has no threshold for the marketplace.
    """

    def __init__(self, target: FillTarget, paths: Sequence[Path]) -> None:
        self._target = target
        self._threshold = _checked_threshold(target)
        limit = target.settings.max_text_characters
        self._files = [CandidateFile(path, target.marketplace, limit) for path in paths]
        self._started_at = datetime.now(UTC)
        self.fill_id = f"{self._started_at:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        self._counts = FillCounts()
        name = f"{target.marketplace}-{self.fill_id}.rejected.jsonl"
        self._rejected = RejectedRows(target.settings.fill_folder / name)

    async def run(self) -> FillReport:
        """Fill, verify, flip.

        Raises:
            InputError: too many bad rows (more than FILL_BAD_ROW_SHARE), or no good one.
            ConfigurationError: another fill of the marketplace runs.
            CacheUnavailableError: the cache does not answer, or does not hold what was written.
        """
        started = time.monotonic()
        try:
            active, removed = await self._fill()
        finally:
            self._rejected.close()
        return self._report(active, removed, time.monotonic() - started)

    async def _fill(self) -> tuple[Generation, list[int]]:
        cache, marketplace = self._target.cache, self._target.marketplace
        async with held_fill_lock(cache.connection, marketplace, self.fill_id) as lock:
            removed = await cache.generations.remove_abandoned(marketplace)
            async with self._new_generation() as generation:
                await self._write_candidates(generation)
                await self._verify(generation)
                await lock.renew()
                active = await cache.generations.activate(generation, self._counts.queries, self._counts.cached)
            removed += await cache.generations.remove_older(active)
        return active, removed

    @asynccontextmanager
    async def _new_generation(self) -> AsyncIterator[Generation]:
        generations = self._target.cache.generations
        version = self._target.scorer.model_version
        generation = await generations.create(self._target.marketplace, version, self.fill_id, "building")
        try:
            yield generation
        except BaseException:
            # The next fill removes it if the cache is what failed.
            with suppress(CacheUnavailableError):
                await generations.discard(generation)
            raise

    async def _write_candidates(self, generation: Generation) -> None:
        writer = GenerationWriter(self._target.cache, generation, self._counts)
        total = sum(file.size for file in self._files)
        with FillProgress(self._target.marketplace, total) as progress:
            async with aclosing(self._scored_chunks()) as chunks:
                async for chunk, scores in chunks:
                    for pair, value in zip(chunk, scores, strict=True):
                        writer.add(pair, value, value >= self._threshold)
                    await writer.flush_if_full()
                    progress.update(self._counts, sum(file.position for file in self._files))
            await writer.flush()

    async def _scored_chunks(self) -> AsyncGenerator[tuple[list[QueryProductPair], list[float]], None]:
        """Chunks in their order; the next ones are read and tokenized while one is computed."""
        batching = MicroBatching()
        waiting: deque[tuple[list[QueryProductPair], asyncio.Task[ScoredPairs]]] = deque()
        try:
            for chunk in self._chunks():
                waiting.append((chunk, asyncio.create_task(batching.score(self._target.scorer, chunk))))
                if len(waiting) > _CHUNKS_AHEAD:
                    first, task = waiting.popleft()
                    yield first, (await task).scores
            for first, task in waiting:
                yield first, (await task).scores
        finally:
            for _, task in waiting:
                task.cancel()
            await asyncio.to_thread(batching.close)

    def _chunks(self) -> Iterator[list[QueryProductPair]]:
        chunk: list[QueryProductPair] = []
        for pair in self._usable_pairs():
            chunk.append(pair)
            if len(chunk) == self._target.settings.fill_chunk_pairs:
                yield chunk
                chunk = []
        self._check_bad_rows()
        if chunk:
            yield chunk

    def _usable_pairs(self) -> Iterator[QueryProductPair]:
        for file in self._files:
            for item in file.pairs():
                self._counts.rows += 1
                if isinstance(item, BadRow):
                    self._reject(file.path, item)
                elif isinstance(item, OtherMarketplace):
                    self._counts.other_marketplace_rows += 1
                else:
                    yield item

    def _reject(self, path: Path, bad: BadRow) -> None:
        self._counts.bad_rows += 1
        self._rejected.add(path, bad)
        if self._counts.rows >= _ROWS_BEFORE_STOPPING:
            self._check_bad_rows()

    def _check_bad_rows(self) -> None:
        limit = self._target.settings.fill_bad_row_share
        if self._counts.bad_share > limit:
            raise InputError(
                f"{self._counts.bad_rows} of {self._counts.rows} rows cannot be used, more than "
                f"{100 * limit:g} % (FILL_BAD_ROW_SHARE); the cache is as it was, the reasons are in "
                f"{self._rejected.path}"
            )

    async def _verify(self, generation: Generation) -> None:
        counts = self._counts
        if not counts.queries:
            raise InputError(
                f"the files hold no pair of {self._target.marketplace!r} ({counts.rows} rows); "
                "the cache is as it was"
            )
        found = await self._target.cache.connection.counts(
            entries_prefix(generation.marketplace, generation.number)
        )
        if (found.sets, found.members) != (counts.queries, counts.cached):
            raise CacheUnavailableError(
                f"the cache holds {found.sets} queries and {found.members} products where {counts.queries} and "
                f"{counts.cached} were written; the old generation stays. Is maxmemory-policy noeviction?"
            )
        counts.nothing_relevant = found.markers

    def _report(self, active: Generation, removed: list[int], seconds: float) -> FillReport:
        rejected = self._rejected.path
        return FillReport(
            fill_id=self.fill_id,
            marketplace=active.marketplace,
            files=[str(file.path) for file in self._files],
            model_version=active.model_version,
            threshold=self._threshold,
            generation=active.number,
            previous_generation=active.previous,
            removed_generations=removed,
            counts=self._counts,
            kept_share=self._counts.kept_share,
            rejected_rows=str(rejected) if rejected else None,
            started_at=self._started_at,
            seconds=round(seconds, 3),
            pairs_per_second=round(self._counts.scored / max(seconds, 1e-9), 1),
        )


def _checked_threshold(target: FillTarget) -> float:
    scorer = target.scorer
    if target.marketplace not in scorer.marketplaces:
        raise InputError(
            f"version {scorer.model_version} does not know {target.marketplace!r}; it knows "
            f"{', '.join(scorer.marketplaces)}",
            field="marketplace",
        )
    threshold = scorer.threshold(target.marketplace)
    if threshold is None:
        raise ConfigurationError(
            f"version {scorer.model_version} has no threshold for {target.marketplace!r}: on validation data no "
            "score reached the target precision, so nothing of it is cached"
        )
    return threshold
