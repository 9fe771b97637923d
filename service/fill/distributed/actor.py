"""Scores parts of the candidates on one machine of a Ray cluster, and writes them itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from model_store import errors
from model_store.errors import RelevanceError
from model_store.tables.values import BadRow
from service.cache.generation_builder import GenerationBuilder
from service.cache.generations import Generation
from service.cache.keys import TimeToLive
from service.cache.server.connection import CacheConnection
from service.cache.store import CacheStore
from service.engine.options import EngineOptions, bound_onednn_caches
from service.engine.scorer import Scorer
from service.engine.versions.loading import load_scorer
from service.fill.candidates.chunks import CandidateChunks, ChosenQueries, ChunkSizes, ReadingState
from service.fill.distributed.parts import FilePart, PartFile
from service.fill.generation.sink import GenerationSink, ScoreTotals
from service.fill.generation.writer import GenerationWriter
from service.fill.report.histogram import ScoreHistogram
from service.fill.report.sample import SampledPair, ScoredSample
from service.fill.report.stage_times import Stage, StageTimes
from service.fill.retry import RetryPolicy
from service.fill.scoring import ThreadBatchRunner, score_chunks


class RejectedRow(BaseModel):
    """A row that could not be used."""

    model_config = ConfigDict(frozen=True)

    row: int
    problem: str
    field: str | None


class PartOutcome(BaseModel):
    """Counts of a part whose pairs are all written; everything is added to what other parts counted.

    `keys` are those of the entries that were written, `engine` is the form of the model that scored.
    """

    model_config = ConfigDict(frozen=True)

    reply: Literal["outcome"] = "outcome"
    number: int
    engine: str
    reading: ReadingState
    keys: list[str]
    sample: tuple[SampledPair, ...]
    histogram: ScoreHistogram
    rejected: list[RejectedRow]
    seconds: dict[Stage, float]


class PartFailure(BaseModel):
    """Why a part could not be filled; of what kind the exception was, and its text."""

    model_config = ConfigDict(frozen=True)

    reply: Literal["failure"] = "failure"
    kind: str
    message: str

    @classmethod
    def of(cls, error: Exception) -> PartFailure:
        """What is to be raised by the driver."""
        return cls(kind=type(error).__name__, message=str(error) or repr(error))

    def error(self) -> RelevanceError:
        """The exception, of its class if that is one of this product."""
        kind = getattr(errors, self.kind, None)
        if isinstance(kind, type) and issubclass(kind, RelevanceError):
            return kind(self.message)
        return RelevanceError(f"a scoring actor failed with {self.kind}: {self.message}")


PartReply = PartOutcome | PartFailure
PART_REPLY: TypeAdapter[PartReply] = TypeAdapter(Annotated[PartReply, Field(discriminator="reply")])
"""Reads a reply from JSON."""


@dataclass(frozen=True, slots=True)
class ScoringPlan:
    """What an actor needs to know; the store and the files are reached under the same paths everywhere."""

    store: Path
    engine: EngineOptions
    generation: Generation
    threshold: float
    chosen: ChosenQueries | None
    redis_url: str = field(repr=False)
    redis_cluster: bool
    redis_timeout_seconds: float
    wait_seconds: float
    cap: int
    life: TimeToLive | None
    chunk_pairs: int
    sampled_pairs: int
    max_text_characters: int


class PartScoring:
    """One actor. Whatever goes wrong within it is in the reply; only its loss leaves none."""

    def __init__(self, plan: ScoringPlan) -> None:
        bound_onednn_caches()
        self._plan = plan

    @cached_property
    def _scorer(self) -> Scorer:
        # Not loaded with the actor: what goes wrong then would be in no reply.
        return load_scorer(self._plan.store, str(self._plan.generation.model_version), self._plan.engine)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[str]]:
        """Replies, as JSON, to the parts of a batch, as JSON."""
        return {"reply": [self._reply(str(part)).model_dump_json() for part in batch["part"]]}

    def _reply(self, text: str) -> PartReply:
        try:
            return asyncio.run(_filled(self._plan, self._scorer, FilePart.model_validate_json(text)))
        except Exception as error:  # noqa: BLE001 - the driver raises it
            return PartFailure.of(error)


class _RejectedRows:
    """Rejected rows of a part, for the driver's file."""

    path = None
    size = 0

    def __init__(self) -> None:
        self.found: list[RejectedRow] = []

    def add(self, source: Path, bad: BadRow) -> None:  # noqa: ARG002 - the driver knows the file
        problem = bad.problem.encode("utf-8", "replace").decode()
        self.found.append(RejectedRow(row=bad.row, problem=problem, field=bad.field))


class _WrittenKeys:
    """Keys of a part's entries."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}

    def add(self, keys: Iterable[str]) -> None:
        self.found.update(dict.fromkeys(keys))


async def _filled(plan: ScoringPlan, scorer: Scorer, part: FilePart) -> PartOutcome:
    """All of the part is written when this returns."""
    connection = CacheConnection.open(
        plan.redis_url, cluster=plan.redis_cluster, timeout_seconds=plan.redis_timeout_seconds
    )
    try:
        return await _written(plan, scorer, CacheStore(connection, plan.cap, life=plan.life), part)
    finally:
        await connection.close()


async def _written(plan: ScoringPlan, scorer: Scorer, cache: CacheStore, part: FilePart) -> PartOutcome:
    times, rejected, keys = StageTimes(), _RejectedRows(), _WrittenKeys()
    retry = RetryPolicy(plan.wait_seconds, print)
    writer = GenerationWriter(GenerationBuilder(cache, plan.generation), keys, retry.run, times)
    totals = ScoreTotals(ScoredSample(plan.sampled_pairs), ScoreHistogram(threshold=plan.threshold))
    sink = GenerationSink(writer, totals)
    await score_chunks(_chunks(plan, part, rejected), scorer, ThreadBatchRunner(), times, sink)
    return PartOutcome(
        number=part.number,
        engine=f"{scorer.choice.name} on {scorer.device.split(':')[0]}",
        reading=sink.reading,
        keys=list(keys.found),
        sample=totals.sample,
        histogram=totals.histogram,
        rejected=rejected.found,
        seconds={name: stage.seconds for name, stage in times.report().stages.items()},
    )


def _chunks(plan: ScoringPlan, part: FilePart, rejected: _RejectedRows) -> CandidateChunks:
    files = [PartFile(part, plan.generation.marketplace, plan.max_text_characters)]
    # The driver sees the share of bad rows in all parts; all chunks of a part are one window.
    sizes = ChunkSizes(plan.chunk_pairs, chunks_in_window=10**9)
    start = ReadingState(row=part.first_row)
    return CandidateChunks(files, rejected, sizes, 1.0, plan.chosen, start)
