"""One pass over the candidates, from the newest checkpoint to the end of the files, whoever scores them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model_store.errors import CacheUnavailableError
from service.cache.generation_builder import GenerationBuilder
from service.fill.candidates.chunks import (
    CandidateChunks,
    CandidateFile,
    ChosenQueries,
    Chunk,
    ChunkSizes,
    ReadingState,
)
from service.fill.candidates.query_log import QueryLog
from service.fill.candidates.rejected import RejectedRows
from service.fill.generation.record import Checkpoint
from service.fill.generation.sink import GenerationSink, ScoreTotals
from service.fill.generation.state import FillState
from service.fill.generation.writer import GenerationWriter
from service.fill.report.progress import Progress
from service.fill.report.report import FillCounts
from service.fill.report.sample import ScoredSample
from service.fill.report.stage_times import StageTimes
from service.fill.retry import RetryPolicy
from service.fill.scoring import batch_runner_for, score_chunks
from service.fill.target import FillTarget


@dataclass(frozen=True, slots=True)
class ScanInput:
    """What the passes of one fill have in common: what is read, where it is written, who shows it."""

    target: FillTarget
    files: Sequence[CandidateFile]
    chosen: ChosenQueries | None
    state: FillState
    retry: RetryPolicy
    progress: Progress
    times: StageTimes


class Scan:
    """What a pass has counted so far, the files that it writes, and its checkpoints.

    What it counts is the same however often the fill was interrupted. `start` is the checkpoint from which the
    pass resumes, `reading` how far the files are read.
    """

    def __init__(self, source: ScanInput) -> None:
        self.source = source
        record, settings = source.state.record, source.target.settings
        self.start = record.newest
        self.reading = self.start.reading
        self.totals = ScoreTotals(
            ScoredSample(settings.fill_rescored_pairs, self.start.sample), self.start.histogram
        )
        self.counts = FillCounts()
        self._count()
        self.rejected = RejectedRows(source.state.file.rejected_rows(record.fill_id), self.reading.rejected_bytes)
        self.queries = QueryLog(source.state.file.query_log(record.fill_id), self.start.query_log_bytes)

    def begin(self) -> None:
        """The rate is that of what is scored from now on."""
        self.source.progress.begin(self.start.scored, self.reading.bytes_read)

    def advance(self, reading: ReadingState) -> None:
        """Everything up to a place was scored and is counted in `totals`."""
        self.reading = reading
        self._count()

    def show(self) -> None:
        """Tell of what is counted so far."""
        self.source.progress.update(self.counts, self.reading.bytes_read)

    async def checkpoint(self, *, complete: bool, parts_done: tuple[tuple[int, int], ...] = ()) -> None:
        """Note that everything that is counted is in the cache too.

        Raises:
            WritesLostError: a server was started again; resume from the newest checkpoint.
            CacheUnavailableError: the cache stays away.
            ConfigurationError: FILL_FOLDER cannot be written.
        """
        self.queries.sync()
        self.rejected.sync()
        await self.source.state.add_checkpoint(
            Checkpoint(
                reading=self.reading,
                scored=self.counts.scored,
                kept=self.counts.kept,
                query_log_bytes=self.queries.size,
                sample=self.totals.sample,
                histogram=self.totals.histogram,
                complete=complete,
                parts_done=parts_done,
            )
        )

    def close(self) -> None:
        """Close the files that the pass writes."""
        self.rejected.close()
        self.queries.close()

    def _count(self) -> None:
        counts, reading, histogram = self.counts, self.reading, self.totals.histogram
        counts.scored, counts.kept = histogram.total, histogram.kept
        counts.rows, counts.bad_rows = reading.rows, reading.bad_rows
        counts.other_marketplace_rows = reading.other_marketplace_rows
        counts.uncovered_rows = reading.uncovered_rows


@dataclass(frozen=True, slots=True)
class FillEngine:
    """What makes the passes.

    Args:
        name: says how candidates are cut: a fill resumes only where it is cut as it was.
        scan: goes to the end of the files; afterwards the newest checkpoint is complete.
    """

    name: str
    scan: Callable[[Scan], Awaitable[None]]


async def scan_in_process(scan: Scan) -> None:
    """Read, score and write in this process.

    Raises:
        WritesLostError: a server was started again; resume from the newest checkpoint.
        InputError: a file is damaged, or has too many bad rows.
        CacheUnavailableError: the cache stays away.
    """
    source = scan.source
    settings = source.target.settings
    sizes = ChunkSizes.of(settings.fill_chunk_pairs, settings.fill_checkpoint_pairs)
    share = settings.fill_bad_row_share
    chunks = CandidateChunks(source.files, scan.rejected, sizes, share, source.chosen, scan.reading)
    runner = batch_runner_for(source.target.batching)
    scan.begin()
    await score_chunks(chunks, source.target.scorer, runner, source.times, _CheckpointedSink(scan))


LOCAL = FillEngine("local", scan_in_process)


class _CheckpointedSink:
    """Writes into the generation, and notes at the end of each window how far it is."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        source = scan.source
        builder = GenerationBuilder(source.target.cache, source.state.generation)
        writer = GenerationWriter(builder, scan.queries, self._retried, source.times)
        self._written = GenerationSink(writer, scan.totals)

    async def add(self, chunk: Chunk, scores: np.ndarray) -> None:
        await self._written.add(chunk, scores)
        self._scan.advance(chunk.after)
        if chunk.ends_window:
            await self._checkpoint(complete=False)
        self._scan.show()

    async def finish(self) -> None:
        await self._checkpoint(complete=True)

    async def abandon(self) -> None:
        await self._written.abandon()

    async def _checkpoint(self, *, complete: bool) -> None:
        await self._written.finish()
        await self._scan.checkpoint(complete=complete)

    async def _retried(self, operation: Callable[[], Awaitable[None]]) -> None:
        """Once the cache was away, whether it is the same server that is back matters."""
        source = self._scan.source
        try:
            await operation()
        except CacheUnavailableError:
            await source.retry.run(source.state.check_same_servers)
            await source.retry.run(operation)
