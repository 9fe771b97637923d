"""A pass over the candidates that the machines of a Ray cluster make together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from model_store.errors import ConfigurationError, InputError
from model_store.tables.values import BadRow
from service.engine.options import EngineOptions
from service.fill.candidates.chunks import ChunkSizes, ReadingState, check_bad_rows
from service.fill.distributed.actor import PartOutcome, ScoringPlan
from service.fill.distributed.cluster import actor_count, connected, counted_rows, part_outcomes
from service.fill.distributed.options import RayOptions, reached_redis
from service.fill.distributed.parts import FilePart, PartNumbers, file_parts
from service.fill.report.report import shown_path
from service.fill.report.stage_times import STAGES
from service.fill.scan import FillEngine, Scan
from service.settings import ServiceSettings

_SECONDS_BETWEEN_CHECKPOINTS = 1.0


def ray_engine(options: RayOptions, settings: ServiceSettings) -> FillEngine:
    """Fills on a Ray cluster.

    Raises:
        ConfigurationError: Ray is not installed, or there is no server that all machines reach.
    """
    reached_redis(settings)
    return FillEngine("ray", partial(scan_on_cluster, options=options))


async def scan_on_cluster(scan: Scan, options: RayOptions) -> None:
    """Have actors score and write parts of the candidates, and add up what they report.

    A part is the window of `scan_in_process`, cut by rows instead of pairs. One actor scores and writes it, and
    if that actor is lost before it replied, another one writes it again, to the same effect.

    Raises:
        WritesLostError: a server was started again; resume from the newest checkpoint.
        InputError: a file is damaged, or has too many bad rows.
        CacheUnavailableError: the cache stays away.
        ConfigurationError: the cluster is not there or has no room, or its machines score in different forms.
        RelevanceError: actors are lost again and again.
    """
    for file in scan.source.files:
        _check_name(file.path)
    scan.begin()
    # On the main thread Ray would take over the signals, and hold up the renewal of the fill lock.
    calls = ThreadPoolExecutor(1, thread_name_prefix="ray")
    loop = asyncio.get_running_loop()
    with ExitStack() as cluster:
        try:
            await loop.run_in_executor(calls, cluster.enter_context, connected(options))
            merging = await loop.run_in_executor(calls, _merging, scan, options)
            outcomes = part_outcomes(merging.left(), _plan(scan, options), options, scan.source.progress.say)
            await _merge_all(merging, outcomes, calls)
        finally:
            # A call that waits for the next outcome ends with the connection.
            await asyncio.to_thread(cluster.close)
            await asyncio.to_thread(calls.shutdown, cancel_futures=True)
    merging.check_bad_rows(at_end=True)
    await merging.checkpoint(complete=True)


def _check_name(path: Path) -> None:
    try:
        str(path.resolve()).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            "the name is not UTF-8, as --engine ray needs it; rename the file", source=shown_path(path)
        ) from error


def _merging(scan: Scan, options: RayOptions) -> _MergedParts:
    settings, paths = scan.source.target.settings, [file.path for file in scan.source.files]
    sizes = ChunkSizes.of(settings.fill_chunk_pairs, settings.fill_checkpoint_pairs)
    parts = file_parts(paths, counted_rows(paths), sizes.pairs * sizes.chunks_in_window)
    return _MergedParts(scan, parts, actor_count(options))


async def _merge_all(merging: _MergedParts, outcomes: Iterator[PartOutcome], calls: ThreadPoolExecutor) -> None:
    loop, checkpointed = asyncio.get_running_loop(), time.monotonic()
    while outcome := await loop.run_in_executor(calls, next, outcomes, None):
        merging.add(outcome)
        merging.check_bad_rows()
        if time.monotonic() - checkpointed >= _SECONDS_BETWEEN_CHECKPOINTS:
            await merging.checkpoint(complete=False)
            checkpointed = time.monotonic()


class _MergedParts:
    """Adds what actors wrote to what the pass has counted, and knows which parts are done."""

    def __init__(self, scan: Scan, parts: Sequence[FilePart], actors: int) -> None:
        self._scan = scan
        self._parts = parts
        self._actors = actors
        self._done = PartNumbers(scan.start.parts_done)
        self._engines: set[str] = set()

    def left(self) -> list[FilePart]:
        """The parts that are not done."""
        return [part for part in self._parts if part.number not in self._done]

    def add(self, outcome: PartOutcome) -> None:
        """Count a part as done.

        Raises:
            ConfigurationError: it was scored in another form than other parts.
        """
        self._check_engine(outcome.engine)
        scan, part = self._scan, self._parts[outcome.number]
        self._done.add(outcome.number)
        scan.queries.add(outcome.keys)
        scan.totals.merge(scan.source.target.marketplace, outcome.sample, outcome.histogram)
        for row in outcome.rejected:
            scan.rejected.add(scan.source.files[part.file].path, BadRow(row.row, row.problem, row.field))
        for stage in STAGES:
            scan.source.times.add(stage, outcome.seconds.get(stage, 0.0) / self._actors)
        scan.advance(self._read_with(outcome.reading))
        scan.show()

    def check_bad_rows(self, *, at_end: bool = False) -> None:
        """Stop a fill whose candidates are of no use.

        Raises:
            UselessCandidatesError: the share of bad rows in all parts is above the limit.
        """
        scan = self._scan
        share = scan.source.target.settings.fill_bad_row_share
        check_bad_rows(scan.reading, share, scan.rejected, at_end=at_end)

    async def checkpoint(self, *, complete: bool) -> None:
        """Note which parts are done."""
        await self._scan.checkpoint(complete=complete, parts_done=self._done.ranges())

    def _check_engine(self, engine: str) -> None:
        self._engines.add(engine)
        if len(self._engines) > 1:
            raise ConfigurationError(
                f"actors score with {' and with '.join(sorted(self._engines))}, whose scores differ; set BACKEND "
                "and PRECISION to what all machines of the cluster have"
            )

    def _read_with(self, found: ReadingState) -> ReadingState:
        scan = self._scan
        counted = {
            name: getattr(scan.reading, name) + getattr(found, name)
            for name in ("rows", "bad_rows", "other_marketplace_rows", "uncovered_rows")
        }
        size = sum(file.size for file in scan.source.files)
        read = size * len(self._done) // len(self._parts)
        return ReadingState(**counted, bytes_read=read, rejected_bytes=scan.rejected.size)


def _plan(scan: Scan, options: RayOptions) -> ScoringPlan:
    source = scan.source
    target, settings = source.target, source.target.settings
    return ScoringPlan(
        store=settings.model_store.resolve(),
        engine=_actor_engine(scan, options),
        generation=source.state.generation,
        threshold=scan.totals.histogram.threshold,
        chosen=source.chosen,
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


def _actor_engine(scan: Scan, options: RayOptions) -> EngineOptions:
    """The driver's form of the model and its batches, so that all actors score as it does."""
    scorer, chosen = scan.source.target.scorer, scan.source.target.settings.engine
    device = "cuda" if options.actor_gpus else "cpu"
    chosen = replace(chosen, device=device, token_budget=scorer.token_budget)
    if not scorer.device.startswith(device):
        return chosen
    return replace(chosen, backend=scorer.choice.backend, precision=scorer.choice.precision)
