"""A pass through the files that the machines of a Ray cluster make together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import numpy as np

from model_store.errors import ConfigurationError
from service.engine.options import EngineOptions
from service.fill.bad_row import BadRow
from service.fill.candidates.chunks import ChosenQueries, ChunkSizes, ReadingState, check_bad_rows
from service.fill.candidates.reading import CandidateFile
from service.fill.distributed.actor import PartOutcome, ScoringPlan
from service.fill.distributed.cluster import actor_count, connected, counted_rows, part_outcomes
from service.fill.distributed.options import RayOptions, reached_redis
from service.fill.distributed.parts import FilePart, PartNumbers, file_parts
from service.fill.generation.state import FillState
from service.fill.report.progress import Progress
from service.fill.report.stage_times import STAGES, StageTimes
from service.fill.retry import RetryPolicy
from service.fill.scan import FillEngine, FillPass
from service.fill.target import FillTarget
from service.settings import ServiceSettings

_SECONDS_BETWEEN_CHECKPOINTS = 1.0


class RayPass(FillPass):
    """The driver's side: adds up what actors wrote, and notes in checkpoints which parts are done.

    A part is the local engine's window cut by rows instead of pairs. One actor scores and writes it, and if that
    actor is lost before it replied, another one writes it again, to the same effect.
    """

    def __init__(
        self,
        target: FillTarget,
        files: Sequence[CandidateFile],
        chosen: ChosenQueries | None,
        state: FillState,
        retry: RetryPolicy,
        progress: Progress,
        times: StageTimes,
        options: RayOptions,
    ) -> None:
        super().__init__(target, files, chosen, state, retry, progress, times)
        self._options = options
        self._reading = self._start.reading
        self._done = PartNumbers(self._start.parts_done)
        self._parts: list[FilePart] = []
        self._actors = 1
        self._engine: str | None = None

    async def run(self) -> None:
        """As in `FillPass`.

        Raises:
            ConfigurationError: the cluster is not there or has no room, or its machines score in different forms.
            RelevanceError: actors are lost again and again.
        """
        self._note_reading(self._reading)
        self._progress.begin(self._start.scored, self._reading.bytes_read)
        # On the main thread Ray would take over the signals, and hold up the renewal of the fill lock.
        calls = ThreadPoolExecutor(1, thread_name_prefix="ray")
        loop = asyncio.get_running_loop()
        with ExitStack() as cluster:
            try:
                await loop.run_in_executor(calls, cluster.enter_context, connected(self._options))
                await self._merge_all(await loop.run_in_executor(calls, self._outcomes), calls)
            finally:
                # A call that waits for the next outcome ends with the connection.
                await asyncio.to_thread(cluster.close)
                await asyncio.to_thread(calls.shutdown, cancel_futures=True)
        check_bad_rows(self._reading, self._target.settings.fill_bad_row_share, self.rejected, at_end=True)
        await self._checkpoint(self._reading, complete=True, parts_done=self._done.ranges())

    async def _merge_all(self, outcomes: Iterator[PartOutcome], calls: ThreadPoolExecutor) -> None:
        loop, checkpointed = asyncio.get_running_loop(), time.monotonic()
        while outcome := await loop.run_in_executor(calls, next, outcomes, None):
            self._merge(outcome)
            check_bad_rows(self._reading, self._target.settings.fill_bad_row_share, self.rejected)
            if time.monotonic() - checkpointed >= _SECONDS_BETWEEN_CHECKPOINTS:
                await self._checkpoint(self._reading, complete=False, parts_done=self._done.ranges())
                checkpointed = time.monotonic()
            self._progress.update(self._counts, self._reading.bytes_read)

    def _outcomes(self) -> Iterator[PartOutcome]:
        settings, paths = self._target.settings, [file.path for file in self._files]
        sizes = ChunkSizes.of(settings.fill_chunk_pairs, settings.fill_checkpoint_pairs)
        self._parts = file_parts(paths, counted_rows(paths), sizes.pairs * sizes.chunks_in_window)
        self._actors = actor_count(self._options)
        left = [part for part in self._parts if part.number not in self._done]
        return part_outcomes(left, self._plan(), self._options, self._progress.say)

    def _plan(self) -> ScoringPlan:
        target, settings = self._target, self._target.settings
        return ScoringPlan(
            store=settings.model_store.resolve(),
            engine=self._actor_engine(),
            generation=self._state.generation,
            threshold=self._threshold,
            chosen=self._chosen,
            redis_url=reached_redis(settings),
            redis_cluster=settings.redis_cluster,
            redis_timeout_seconds=settings.redis_timeout_seconds,
            wait_seconds=settings.fill_wait_seconds,
            cap=target.cache.cap,
            life=target.cache.life,
            chunk_pairs=settings.fill_chunk_pairs,
            sampled_pairs=settings.fill_rescored_pairs,
            max_text_characters=settings.max_text_characters,
        )

    def _actor_engine(self) -> EngineOptions:
        """The driver's form of the model and its batches, so that all actors score as it does."""
        scorer, options = self._target.scorer, self._target.settings.engine
        device = "cuda" if self._options.actor_gpus else "cpu"
        options = replace(options, device=device, token_budget=scorer.token_budget)
        if not scorer.device.startswith(device):
            return options
        return replace(options, backend=scorer.choice.backend, precision=scorer.choice.precision)

    def _merge(self, outcome: PartOutcome) -> None:
        self._engine = self._engine or outcome.engine
        if outcome.engine != self._engine:
            raise ConfigurationError(
                f"actors score with {self._engine} and with {outcome.engine}, whose scores differ; set BACKEND "
                "and PRECISION to what all machines of the cluster have"
            )
        part = self._parts[outcome.number]
        self._done.add(outcome.number)
        self.queries.add(outcome.keys)
        self._histogram = self._histogram.merged(outcome.histogram)
        self._counts.scored += outcome.scored
        self._counts.kept += outcome.kept
        for sampled in outcome.sample:
            self._sample.add([sampled.pair(self._target.marketplace)], np.array([sampled.score]))
        for row in outcome.rejected:
            self.rejected.add(self._files[part.file].path, BadRow(row.row, row.problem, row.field))
        for stage in STAGES:
            self._times.add(stage, outcome.seconds.get(stage, 0.0) / self._actors)
        self._note_part(outcome.reading)

    def _note_part(self, found: ReadingState) -> None:
        size = sum(file.size for file in self._files)
        counted = {
            name: getattr(self._reading, name) + getattr(found, name)
            for name in ("rows", "bad_rows", "other_marketplace_rows", "uncovered_rows")
        }
        read = size * len(self._done) // len(self._parts)
        self._reading = ReadingState(**counted, bytes_read=read, rejected_bytes=self.rejected.size)
        self._note_reading(self._reading)


def ray_engine(options: RayOptions, settings: ServiceSettings) -> FillEngine:
    """Fills on a Ray cluster.

    Raises:
        ConfigurationError: Ray is not installed, or there is no server that all machines reach.
    """
    reached_redis(settings)
    return FillEngine("ray", partial(RayPass, options=options))
