"""A part of the candidates scored chunk by chunk and handed to a sink: what every process of a fill does.

Reading, tokenizing and computing have a thread each.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Protocol, TypeVar

import numpy as np

from model_store.network.scoring import probabilities
from service.engine.batching.micro_batching import MicroBatching
from service.engine.interactions.interaction import tight_batches
from service.engine.scorer import PreparedPairs, Scorer
from service.fill.candidates.chunks import Chunk
from service.fill.report.stage_times import StageTimes


class ScoreSink(Protocol):
    """Where scored chunks go."""

    async def add(self, chunk: Chunk, scores: np.ndarray) -> None:
        """Take a chunk and its (pairs) scores in [0, 1]; chunks come in their order."""

    async def finish(self) -> None:
        """Every chunk was added."""

    async def abandon(self) -> None:
        """Leave what is under way; called in the end, however the scoring ended."""


async def score_chunks(
    chunks: Iterable[Chunk], scorer: Scorer, runner: BatchRunner, times: StageTimes, sink: ScoreSink
) -> None:
    """Score a part of the candidates and hand each chunk to the sink; `runner` is closed in the end.

    Raises:
        InputError: what reading the chunks raises.
    """
    scoring = _ChunkScoring(scorer, runner, times)
    try:
        async with aclosing(scoring.scored(chunks)) as scored:
            async for chunk, scores in scored:
                await sink.add(chunk, scores)
        await sink.finish()
    finally:
        await sink.abandon()
        await scoring.close()
        await runner.close()


class BatchRunner(Protocol):
    """Takes the steps of a computation, one batch each, on one thread."""

    async def run(self, steps: Iterator[None]) -> None:
        """Take all steps; cancelling the caller leaves out those that were not begun."""

    async def close(self) -> None:
        """Return when no step is being taken any more."""


def batch_runner_for(batching: MicroBatching | None) -> BatchRunner:
    """Between the batches of requests where there are any, else on a thread of its own."""
    return SharedBatchRunner(batching) if batching else ThreadBatchRunner()


class ThreadBatchRunner:
    """A thread that does nothing else."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="filling")

    async def run(self, steps: Iterator[None]) -> None:
        """Take all steps on this thread."""
        cancelled = threading.Event()
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, _take, steps, cancelled)
        finally:
            cancelled.set()

    async def close(self) -> None:
        """Return when the thread has ended."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)


class SharedBatchRunner:
    """The thread that computes requests' batches, which come first."""

    def __init__(self, batching: MicroBatching) -> None:
        self._batching = batching

    async def run(self, steps: Iterator[None]) -> None:
        """Take all steps, each when no request waits."""
        while await self._batching.run(lambda: next(steps, self), gives_way=True) is None:
            pass

    async def close(self) -> None:
        """Leave the thread to the requests."""


def _take(steps: Iterator[None], cancelled: threading.Event) -> None:
    for _ in steps:
        if cancelled.is_set():
            return


_CHUNKS_AHEAD = 3

ScoredChunk = tuple[Chunk, np.ndarray]
_Argument = TypeVar("_Argument")
_Result = TypeVar("_Result")
_Task = asyncio.Task[np.ndarray]


class _ChunkScoring:
    """Scores depend on the chunks since the last window alone, bit by bit, whatever else the machine does.

    So batches never hold rows of two chunks, and what is known of texts is forgotten with each window.
    """

    def __init__(self, scorer: Scorer, runner: BatchRunner, times: StageTimes) -> None:
        self._scorer = scorer.with_texts_of_its_own()
        self._runner = runner
        self._times = times
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tokenizing")

    async def scored(self, chunks: Iterable[Chunk]) -> AsyncGenerator[ScoredChunk, None]:
        """(pairs) scores in [0, 1] of each chunk.

        Raises:
            InputError: what reading the chunks raises.
        """
        ahead: deque[tuple[Chunk, _Task]] = deque()
        source = self._times.iterated("reading", chunks)
        begins_window = True
        try:
            while chunk := await _in(self._reading, _next_of, source):
                before = ahead[-1][1] if ahead else None
                ahead.append((chunk, asyncio.create_task(self._scores(chunk, begins_window, before))))
                begins_window = chunk.ends_window
                if len(ahead) > _CHUNKS_AHEAD:
                    yield await _finished(ahead)
            while ahead:
                yield await _finished(ahead)
        finally:
            for _, task in ahead:
                task.cancel()
            if ahead:
                await asyncio.wait([task for _, task in ahead])

    async def close(self) -> None:
        """Return when nothing is read or tokenized any more."""
        await asyncio.to_thread(self._reading.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._tokenizing.shutdown, cancel_futures=True)

    async def _scores(self, chunk: Chunk, begins_window: bool, before: _Task | None) -> np.ndarray:
        if not chunk.pairs:
            return np.zeros(0)
        prepared = await _in(self._tokenizing, self._prepared, chunk)
        if before:
            await asyncio.wait([before])
        logits: list[np.ndarray] = []
        await self._runner.run(self._steps(prepared, begins_window, logits))
        return probabilities(logits[0]).clip(0.0, 1.0)

    def _prepared(self, chunk: Chunk) -> PreparedPairs:
        with self._times.stage("tokenising"):
            return self._scorer.prepare(chunk.pairs)

    def _steps(self, prepared: PreparedPairs, begins_window: bool, logits: list[np.ndarray]) -> Iterator[None]:
        scorer = self._scorer
        if begins_window:
            scorer.forget_texts()
        work = scorer.begin(prepared)
        for rows in tight_batches(work.lengths, scorer.token_budget):
            with self._times.stage("scoring"):
                scorer.compute([(work, rows)])
            yield
        logits.append(scorer.finish(prepared, work))


async def _in(thread: ThreadPoolExecutor, call: Callable[[_Argument], _Result], argument: _Argument) -> _Result:
    return await asyncio.get_running_loop().run_in_executor(thread, call, argument)


def _next_of(source: Iterator[Chunk]) -> Chunk | None:
    return next(source, None)


async def _finished(ahead: deque[tuple[Chunk, _Task]]) -> ScoredChunk:
    chunk, task = ahead[0]
    scores = await task
    ahead.popleft()
    return chunk, scores
