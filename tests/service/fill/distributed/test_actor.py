from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model_store.errors import CacheUnavailableError, InputError, RelevanceError
from model_store.tables.rows import last_row
from service.cache.generations import Generation
from service.cache.server.connection import CacheConnection
from service.cache.store import CacheStore
from service.engine.options import EngineOptions
from service.engine.scorer import Scorer
from service.fill.distributed.actor import (
    PART_REPLY,
    PartFailure,
    PartOutcome,
    PartReply,
    PartScoring,
    ScoringPlan,
)
from service.fill.distributed.parts import FilePart, file_parts
from service.fill.job import FillJob
from service.fill.target import FillTarget
from tests.support.service.redis_servers import PersistentServer, contents
from tests.support.service.running import settings_for
from tests.support.service.watched_fill import write_candidates

_CHUNK, _PART = 64, 256


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PersistentServer]:
    server = PersistentServer(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def candidates(tmp_path: Path) -> Path:
    return write_candidates(tmp_path / "candidates.tsv", queries=20, products=60)


def _plan(store: Path, generation: Generation, url: str) -> ScoringPlan:
    return ScoringPlan(
        store=store,
        engine=EngineOptions("cpu", "torch", "float32", 2048),
        generation=generation,
        threshold=0.5,
        chosen=None,
        redis_url=url,
        redis_cluster=False,
        redis_timeout_seconds=2.0,
        wait_seconds=0.0,
        cap=20,
        life=None,
        chunk_pairs=_CHUNK,
        sampled_pairs=8,
        max_text_characters=10_000,
    )


def _scored(actor: PartScoring, part: FilePart) -> PartOutcome:
    outcome = _reply(actor, part)
    assert isinstance(outcome, PartOutcome)
    return outcome


def _reply(actor: PartScoring, part: FilePart) -> PartReply:
    return PART_REPLY.validate_json(actor({"part": np.array([part.model_dump_json()])})["reply"][0])


async def _filled_locally(scorer: Scorer, store: Path, url: str, folder: Path, path: Path) -> int:
    settings = settings_for(
        store, folder, fill_folder=folder / "fills", fill_chunk_pairs=_CHUNK, fill_checkpoint_pairs=_PART
    )
    connection = CacheConnection.open(url)
    try:
        cache = CacheStore(connection, cap=20)
        return (await FillJob(FillTarget("us", scorer, cache, settings), [path]).run()).counts.kept
    finally:
        await connection.close()


async def _created(url: str) -> Generation:
    connection = CacheConnection.open(url)
    try:
        return await CacheStore(connection).generations.create("us", 1, "test", "building")
    finally:
        await connection.close()


async def _activated(url: str, generation: Generation) -> None:
    connection = CacheConnection.open(url)
    try:
        await CacheStore(connection).generations.activate(generation, 1, 1)
    finally:
        await connection.close()


def test_actors_write_what_the_local_engine_writes_in_any_order_and_twice(
    scorer: Scorer, tiny_store: Path, server: PersistentServer, tmp_path: Path, candidates: Path
) -> None:
    kept = asyncio.run(_filled_locally(scorer, tiny_store, server.url, tmp_path, candidates))
    expected = contents(server.url)
    generation = asyncio.run(_created(server.url))
    actors = [PartScoring(_plan(tiny_store, generation, server.url)) for _ in range(2)]
    parts = file_parts([candidates], [last_row(candidates)], _PART)
    assert len(parts) == 5
    outcomes = [_scored(actors[part.number % 2], part) for part in reversed(parts)]
    again = _scored(actors[0], parts[1])
    asyncio.run(_activated(server.url, generation))
    assert contents(server.url) == expected
    assert sum(outcome.histogram.kept for outcome in outcomes) == kept
    assert sum(outcome.histogram.total for outcome in outcomes) == 1200
    assert again.sample == outcomes[3].sample
    assert set().union(*(outcome.keys for outcome in outcomes)) == set(again.keys)


def test_a_row_that_cannot_be_used_is_told_with_its_number(
    tiny_store: Path, server: PersistentServer, candidates: Path
) -> None:
    lines = candidates.read_text(encoding="utf-8").splitlines()
    lines[300] = "query 1\tp1\t"
    candidates.write_text("\n".join(lines), encoding="utf-8")
    generation = asyncio.run(_created(server.url))
    part = file_parts([candidates], [last_row(candidates)], _PART)[1]
    outcome = _scored(PartScoring(_plan(tiny_store, generation, server.url)), part)
    assert [(row.row, row.field) for row in outcome.rejected] == [(301, "product_title")]
    assert (outcome.histogram.total, outcome.reading.rows, outcome.reading.bad_rows) == (_PART - 1, _PART, 1)


def test_what_goes_wrong_is_told(tiny_store: Path, server: PersistentServer, candidates: Path) -> None:
    generation = asyncio.run(_created(server.url))
    server.kill()
    part = file_parts([candidates], [last_row(candidates)], _PART)[0]
    actor = PartScoring(_plan(tiny_store, generation, server.url))
    failure = _reply(actor, part)
    assert isinstance(failure, PartFailure)
    assert failure.kind == "CacheUnavailableError"


@pytest.mark.parametrize("error", [InputError("no such file", source="c.tsv"), CacheUnavailableError("away")])
def test_an_error_of_an_actor_is_raised_as_what_it_was(error: RelevanceError) -> None:
    raised = PartFailure.of(error).error()
    assert type(raised) is type(error)
    assert str(raised) == str(error)


def test_any_other_exception_is_named() -> None:
    raised = PartFailure.of(KeyError("us")).error()
    assert type(raised) is RelevanceError
    assert str(raised) == "a scoring actor failed with KeyError: 'us'"
