"""Reads, scores and writes candidates from a checkpoint to the end of the files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from model_store.errors import CacheUnavailableError
from model_store.product import QueryProductPair
from service.cache.generation_builder import GenerationBuilder
from service.fill.candidates.chunks import CandidateChunks, ChosenQueries, ChunkSizes, ReadingState
from service.fill.candidates.query_log import QueryLog
from service.fill.candidates.reading import CandidateFile
from service.fill.candidates.rejected import RejectedRows
from service.fill.generation.record import Checkpoint
from service.fill.generation.state import FillState
from service.fill.generation.writer import GenerationWriter
from service.fill.report.progress import Progress
from service.fill.report.report import FillCounts
from service.fill.report.sample import ScoredSample
from service.fill.report.stage_times import StageTimes
from service.fill.retry import RetryPolicy
from service.fill.scoring import ChunkScoring, batch_runner_for
from service.fill.target import FillTarget


class FillPass:
    """One way through the files. What the pass counts is the same however often the fill was interrupted."""

    def __init__(
        self,
        target: FillTarget,
        files: Sequence[CandidateFile],
        chosen: ChosenQueries | None,
        state: FillState,
        retry: RetryPolicy,
        progress: Progress,
        times: StageTimes,
    ) -> None:
        self._target = target
        self._threshold = target.threshold()
        self._files = files
        self._chosen = chosen
        self._state = state
        self._patience = retry
        self._progress = progress
        self._times = times
        settings = target.settings
        fill_id = state.record.fill_id
        start = state.record.newest
        self._start = start
        self._counts = FillCounts(scored=start.scored, kept=start.kept)
        self.rejected = RejectedRows(state.file.rejected_rows(fill_id), start.reading.rejected_bytes)
        self.queries = QueryLog(state.file.query_log(fill_id), start.query_log_bytes)
        self._sample = ScoredSample(settings.fill_rescored_pairs, start.sample)
        self._histogram = start.histogram
        builder = GenerationBuilder(target.cache, state.generation)
        self._writer = GenerationWriter(builder, self.queries, self._patiently, self._times)

    @property
    def counts(self) -> FillCounts:
        """What was counted so far."""
        return self._counts

    async def run(self) -> None:
        """Go to the end of the files; afterwards the state's newest checkpoint is complete.

        Raises:
            WritesLostError: a server was started again; go on from the newest checkpoint.
            InputError: a file is damaged, or has too many bad rows.
            CacheUnavailableError: the cache stays away.
        """
        target = self._target
        runner = batch_runner_for(target.batching)
        scoring = ChunkScoring(target.scorer, runner, self._times)
        self._note_reading(self._start.reading)
        self._progress.begin(self._start.scored, self._start.reading.bytes_read)
        reading = self._start.reading
        try:
            async with aclosing(scoring.scored(self._chunks())) as chunks:
                async for chunk, scores in chunks:
                    await self._add(chunk.pairs, scores)
                    reading = chunk.after
                    self._note_reading(reading)
                    if chunk.ends_window:
                        await self._checkpoint(reading, complete=False)
                    self._progress.update(self._counts, reading.bytes_read)
            await self._checkpoint(reading, complete=True)
        finally:
            await self._writer.abandon()
            await scoring.close()
            await runner.close()

    def close(self) -> None:
        """Close the files that the pass writes."""
        self.rejected.close()
        self.queries.close()

    def _chunks(self) -> CandidateChunks:
        settings = self._target.settings
        sizes = ChunkSizes.of(settings.fill_chunk_pairs, settings.fill_checkpoint_pairs)
        share = settings.fill_bad_row_share
        return CandidateChunks(self._files, self.rejected, sizes, share, self._chosen, self._start.reading)

    async def _add(self, pairs: Sequence[QueryProductPair], scores: np.ndarray) -> None:
        kept = scores >= self._threshold
        self._sample.add(pairs, scores)
        self._histogram = self._histogram.with_scores(scores)
        self._counts.scored += len(pairs)
        self._counts.kept += int(kept.sum())
        await self._writer.add(pairs, scores, kept)

    def _note_reading(self, reading: ReadingState) -> None:
        counts = self._counts
        counts.rows, counts.bad_rows = reading.rows, reading.bad_rows
        counts.other_marketplace_rows = reading.other_marketplace_rows
        counts.uncovered_rows = reading.uncovered_rows

    async def _checkpoint(
        self, reading: ReadingState, *, complete: bool, parts_done: tuple[tuple[int, int], ...] = ()
    ) -> None:
        await self._writer.flush()
        self.queries.sync()
        self.rejected.sync()
        await self._state.add_checkpoint(
            Checkpoint(
                reading=reading,
                scored=self._counts.scored,
                kept=self._counts.kept,
                query_log_bytes=self.queries.size,
                sample=self._sample.pairs(),
                histogram=self._histogram,
                complete=complete,
                parts_done=parts_done,
            )
        )

    async def _patiently(self, operation: Callable[[], Awaitable[None]]) -> None:
        """Once the cache was away, whether it is the same server that is back matters."""
        try:
            await operation()
        except CacheUnavailableError:
            await self._patience.run(self._state.check_same_servers)
            await self._patience.run(operation)


MakePass = Callable[
    [FillTarget, Sequence[CandidateFile], ChosenQueries | None, FillState, RetryPolicy, Progress, StageTimes],
    FillPass,
]


@dataclass(frozen=True, slots=True)
class FillEngine:
    """Its name, which says how candidates are cut: a fill goes on only where it is cut as it was."""

    name: str
    make_pass: MakePass


LOCAL = FillEngine("local", FillPass)
