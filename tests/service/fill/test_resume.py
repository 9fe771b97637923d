from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_store.errors import CacheUnavailableError, VerificationError
from model_store.product import Product, QueryProductPair
from service.cache.server.connection import CacheConnection
from service.cache.store import CacheStore
from service.engine.scorer import Scorer
from service.fill.job import FillJob
from service.fill.options import FillOptions
from service.fill.target import FillTarget
from tests.support.service.redis_servers import PersistentServer, contents
from tests.support.service.running import settings_for
from tests.support.service.watched_fill import WatchedFill, has_checkpoint, title_of, write_candidates, write_rows

pytestmark = pytest.mark.anyio

QUERIES, PRODUCTS = 20, 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PersistentServer]:
    server = PersistentServer(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def target(
    scorer: Scorer, server: PersistentServer, tiny_store: Path, tmp_path: Path
) -> AsyncIterator[FillTarget]:
    settings = settings_for(
        tiny_store,
        tmp_path,
        fill_folder=tmp_path / "fills",
        fill_chunk_pairs=32,
        fill_checkpoint_pairs=128,
        fill_wait_seconds=30,
        fill_bad_row_share=0.5,
    )
    connection = CacheConnection.open(server.url)
    yield FillTarget("us", scorer, CacheStore(connection, cap=10), settings)
    await connection.close()


@pytest.fixture
def candidates(tmp_path: Path) -> list[Path]:
    """Two files; products come twice for a query, and bad rows are among the others."""
    first = write_candidates(tmp_path / "1.tsv", QUERIES, PRODUCTS)
    rows = [
        f"Query  {query}\tp{product}\t{title_of(product + 5)}"
        for query in range(QUERIES // 2, QUERIES + 10)
        for product in range(20)
    ]
    second = write_rows(tmp_path / "2.tsv", [*rows[:150], "no row", *rows[150:], "no row either"])
    return [first, second]


async def cancelled_at(target: FillTarget, paths: list[Path], checkpoint: int) -> None:
    """Run a fill and cancel it at a checkpoint."""
    fill = WatchedFill(target, paths, has_checkpoint(target, checkpoint))
    await fill.until_it_holds()
    fill.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fill.task


async def test_an_interrupted_fill_goes_on_and_makes_the_same(
    target: FillTarget, candidates: list[Path], server: PersistentServer
) -> None:
    whole = await FillJob(target, candidates).run()
    expected = contents(server.url)
    for number in (2, 5, 9):
        await cancelled_at(target, candidates, number)
        assert contents(server.url) == expected
    report = await FillJob(target, candidates).run()
    assert report.resumed == 3
    assert report.counts == whole.counts
    assert report.histogram == whole.histogram
    assert report.previous_generation == whole.generation
    assert contents(server.url) == expected
    assert report.rejected_rows
    assert whole.rejected_rows
    assert Path(report.rejected_rows).read_text() == Path(whole.rejected_rows).read_text()


async def test_other_candidates_begin_anew(
    target: FillTarget, candidates: list[Path], server: PersistentServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await cancelled_at(target, candidates, 2)
    report = await FillJob(target, candidates[1:]).run()
    assert report.resumed == 0
    assert report.removed_generations == [1]
    assert report.counts.scored == 400
    assert "an interrupted fill of other candidates" in capsys.readouterr().err


async def test_restart_forgets_an_interrupted_fill(target: FillTarget, candidates: list[Path]) -> None:
    await cancelled_at(target, candidates, 2)
    report = await FillJob(target, candidates, FillOptions(restart=True)).run()
    assert (report.resumed, report.removed_generations) == (0, [1])


async def test_a_server_that_comes_back_with_less_gets_the_rest_again(
    target: FillTarget, candidates: list[Path], server: PersistentServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await FillJob(target, candidates).run()
    expected = contents(server.url)
    fill = WatchedFill(target, candidates, has_checkpoint(target, 6))
    await fill.until_it_holds()
    server.kill()
    server.lose_the_end(random.Random(0), 0.3)
    server.start()
    report = await fill.task
    assert contents(server.url) == expected
    assert "the server was started again" in capsys.readouterr().err
    assert report.counts.scored == 1600


async def test_a_cache_that_stays_away_ends_the_job_which_can_go_on(
    target: FillTarget, candidates: list[Path], server: PersistentServer
) -> None:
    impatient = replace(target, settings=target.settings.model_copy(update={"fill_wait_seconds": 0.3}))
    fill = WatchedFill(impatient, candidates, has_checkpoint(target, 3))
    await fill.until_it_holds()
    server.kill()
    with pytest.raises(CacheUnavailableError):
        await fill.task
    server.start()
    report = await FillJob(target, candidates).run()
    assert report.resumed >= 1
    assert report.counts.scored == 1600


async def test_a_dry_run_tells_the_difference_and_leaves_only_the_flip(
    target: FillTarget, candidates: list[Path], server: PersistentServer
) -> None:
    await FillJob(target, candidates[:1]).run()
    before = contents(server.url)
    dry = await FillJob(target, candidates, FillOptions(dry_run=True)).run()
    assert not dry.flipped
    assert contents(server.url) == before
    assert dry.difference is not None
    assert (dry.difference.gained.queries, dry.difference.lost.queries) == (10, 0)
    assert "query 25" in dry.difference.gained.examples
    assert dry.difference.changed.queries + dry.difference.unchanged == QUERIES
    report = await FillJob(target, candidates).run()
    assert report.flipped
    assert report.generation == dry.generation
    assert report.stages.stages["scoring"].seconds == 0
    after = contents(server.url)
    changed = sum(before[query] != after[query] for query in before)
    assert changed == dry.difference.changed.queries


async def test_a_large_change_is_refused_until_it_is_accepted(
    target: FillTarget, tmp_path: Path, server: PersistentServer
) -> None:
    pairs = [
        QueryProductPair("us", f"query {query}", Product(f"p{product}", title_of(product)))
        for query in range(150)
        for product in range(10)
    ]
    scored = list(zip(pairs, target.scorer.score(pairs), strict=True))

    def rows(relevant: bool) -> list[str]:
        return [
            f"{pair.query}\t{pair.product.id}\t{pair.product.title}"
            for pair, score in scored
            if (score >= 0.5) == relevant
        ]

    await FillJob(target, [write_rows(tmp_path / "good.tsv", rows(True))]).run()
    before = contents(server.url)
    poor = [write_rows(tmp_path / "poor.tsv", rows(False))]
    with pytest.raises(VerificationError, match=r"share of kept pairs is .*\(FILL_KEPT_SHARE_CHANGE\)"):
        await FillJob(target, poor).run()
    assert contents(server.url) == before
    report = await FillJob(target, poor, FillOptions(accept_changes=True)).run()
    assert report.flipped
    assert report.stages.stages["scoring"].seconds == 0
    assert contents(server.url) != before
