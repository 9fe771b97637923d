from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_store.errors import CacheUnavailableError, ConfigurationError, InputError, PartialFlipError
from model_store.product import Product, QueryProductPair
from service.cache.fill_lock import held_fill_lock
from service.cache.keys import active_key, entries_prefix, fill_lock_key
from service.cache.server.connection import CacheConnection, SetCounts
from service.cache.store import CacheStore, QueryScores
from service.engine.scorer import Scorer
from service.fill.generation.record import FillRecordFile
from service.fill.job import FillJob
from service.fill.options import FillOptions
from service.fill.target import FillTarget
from tests.support.service.redis_servers import PersistentServer
from tests.support.service.running import settings_for
from tests.support.service.watched_fill import WatchedFill, has_checkpoint, title_of, write_candidates, write_rows

pytestmark = pytest.mark.anyio


async def test_every_highly_relevant_pair_is_found_under_its_query(target: FillTarget, tmp_path: Path) -> None:
    report = await FillJob(target, [write_candidates(tmp_path / "c.tsv", 40, 5)]).run()
    pairs = [
        QueryProductPair("us", f"query {query}", Product(f"p{product}", title_of(product)))
        for query in range(40)
        for product in range(5)
    ]
    scores = target.scorer.score(pairs)
    for query in range(40):
        found = await target.cache.read("us", f"QUERY  {query}")
        expected = {
            pair.product.id: score
            for pair, score in zip(pairs, scores, strict=True)
            if pair.query == f"query {query}" and score >= 0.5
        }
        assert {product.id for product in found.products} == set(expected)
        assert found.status == ("relevant" if expected else "nothing_relevant")
        assert all(product.score == pytest.approx(expected[product.id], abs=1e-4) for product in found.products)
    counts = report.counts
    assert (counts.rows, counts.scored, counts.queries) == (200, 200, 40)
    assert counts.cached == counts.kept == sum(score >= 0.5 for score in scores)
    assert 0 < counts.nothing_relevant < 40
    assert report.rejected_rows is None


async def test_the_old_generation_is_read_until_the_flip_and_kept_for_rollback(
    target: FillTarget, tmp_path: Path
) -> None:
    first = await FillJob(target, [write_candidates(tmp_path / "1.tsv", 5, 3)]).run()
    second = await FillJob(target, [write_candidates(tmp_path / "2.tsv", 5, 3, first_query=100)]).run()
    assert second.previous_generation == first.generation
    assert (await target.cache.read("us", "query 1")).status == "never_scored"
    await target.cache.generations.rollback("us")
    assert (await target.cache.read("us", "query 1")).status != "never_scored"
    assert (await target.cache.read("us", "query 101")).status == "never_scored"


async def test_only_the_active_and_the_previous_generation_stay(target: FillTarget, tmp_path: Path) -> None:
    path = write_candidates(tmp_path / "c.tsv", 5, 3)
    reports = [await FillJob(target, [path]).run() for _ in range(3)]
    assert reports[2].removed_generations == [reports[0].generation]
    gone = await target.cache.connection.counts(entries_prefix("us", reports[0].generation))
    assert gone.sets == 0
    numbers = [generation.number for generation in await target.cache.generations.all("us")]
    assert numbers == [report.generation for report in reports[1:]]


async def test_the_cap_keeps_the_best_of_a_query_spread_over_the_file(target: FillTarget, tmp_path: Path) -> None:
    capped = replace(target, cache=CacheStore(target.cache.connection, cap=4))
    path = write_candidates(tmp_path / "c.tsv", 8, 60)
    report = await FillJob(capped, [path]).run()
    kept = [(await capped.cache.read("us", f"query {query}")).products for query in range(8)]
    assert report.counts.cached == sum(map(len, kept)) <= 32
    assert report.counts.cached < report.counts.kept
    await FillJob(target, [path]).run()
    everything = [(await target.cache.read("us", f"query {query}")).products for query in range(8)]
    assert max(map(len, everything)) > 4
    assert kept == [products[:4] for products in everything]


async def test_bad_rows_are_counted_and_written_down(target: FillTarget, tmp_path: Path) -> None:
    rows = [f"query\tp{number}\ttitle {number}" for number in range(60)]
    rows[20] = "query\tp20\t"
    rows[40] = "query\tp40"
    report = await FillJob(target, [write_rows(tmp_path / "c.tsv", rows)]).run()
    assert (report.counts.bad_rows, report.counts.scored) == (2, 58)
    assert report.rejected_rows is not None
    lines = [json.loads(line) for line in Path(report.rejected_rows).read_text().splitlines()]
    assert [line["row"] for line in lines] == [22, 42]
    assert lines[0]["field"] == "product_title"
    assert "2 fields where the header has 3" in lines[1]["reason"]


async def test_too_many_bad_rows_change_nothing(target: FillTarget, tmp_path: Path) -> None:
    before = await FillJob(target, [write_candidates(tmp_path / "1.tsv", 5, 3)]).run()
    rows = [f"query\tp{number}\ttitle {number}" for number in range(180)] + ["only one field"] * 20
    with pytest.raises(InputError, match=r"20 of 200 rows .* more than 5 %"):
        await FillJob(target, [write_rows(tmp_path / "2.tsv", rows)]).run()
    answer = await target.cache.read("us", "query 1")
    assert answer.generation is not None
    assert answer.generation.number == before.generation
    assert [entry.number for entry in await target.cache.generations.all("us")] == [before.generation]


async def test_rows_of_other_marketplaces_are_left_out(target: FillTarget, tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text("product_locale\tquery\tproduct_id\tproduct_title\nus\ta\t1\tx\nes\tb\t2\ty\n\tc\t3\tz\n")
    report = await FillJob(target, [path]).run()
    assert (report.counts.scored, report.counts.other_marketplace_rows) == (2, 1)
    assert (await target.cache.read("us", "b")).status == "never_scored"


async def test_an_empty_file_of_candidates_changes_nothing(target: FillTarget, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pair"):
        await FillJob(target, [write_rows(tmp_path / "c.tsv", [])]).run()
    assert await target.cache.generations.active("us") is None


async def test_a_marketplace_without_threshold_is_refused(target: FillTarget, tmp_path: Path) -> None:
    path = write_candidates(tmp_path / "c.tsv", 1, 1)
    with pytest.raises(ConfigurationError, match="no threshold"):
        FillJob(replace(target, marketplace="jp"), [path])
    with pytest.raises(InputError, match="us, es, jp"):
        FillJob(replace(target, marketplace="fr"), [path])


async def test_lost_entries_are_noticed_and_nothing_is_flipped(target: FillTarget, tmp_path: Path) -> None:
    class Forgetful(CacheConnection):
        async def counts(self, prefix: str) -> SetCounts:
            await self.unlink_prefix(f"{prefix}q:query 1")
            return await super().counts(prefix)

    connection = Forgetful.open(target.cache.connection.name)
    forgetful = replace(target, cache=CacheStore(connection))
    with pytest.raises(CacheUnavailableError, match="maxmemory"):
        await FillJob(forgetful, [write_candidates(tmp_path / "c.tsv", 5, 3)]).run()
    await connection.close()
    assert await target.cache.generations.active("us") is None
    assert await target.cache.generations.all("us") == []


async def test_a_cancelled_fill_leaves_its_lock(target: FillTarget, tmp_path: Path) -> None:
    candidates = [write_candidates(tmp_path / "c.tsv", 400, 50)]
    fill = WatchedFill(target, candidates, has_checkpoint(target, 0))
    await fill.until_it_holds()
    assert await target.cache.generations.all("us")
    fill.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fill.task
    assert await target.cache.generations.active("us") is None
    assert await target.cache.connection.get(fill_lock_key("us")) is None


async def test_what_a_killed_fill_left_is_removed_by_the_next(target: FillTarget, tmp_path: Path) -> None:
    abandoned = await target.cache.generations.create("us", 1, "killed", "building")
    await target.cache.merge(abandoned, [QueryScores("left over", {"p": 0.9})])
    report = await FillJob(target, [write_candidates(tmp_path / "c.tsv", 2, 2)]).run()
    assert report.removed_generations == [abandoned.number]
    assert (await target.cache.connection.counts(entries_prefix("us", abandoned.number))).sets == 0


async def test_two_fills_of_a_marketplace_do_not_run_at_once(target: FillTarget, tmp_path: Path) -> None:
    async with held_fill_lock(target.cache.connection, "us", "other"):
        with pytest.raises(ConfigurationError, match="fill other of 'us' runs already"):
            await FillJob(target, [write_candidates(tmp_path / "c.tsv", 1, 1)]).run()
    await FillJob(target, [write_candidates(tmp_path / "c.tsv", 1, 1)]).run()


async def test_readers_see_one_whole_generation_or_the_other(target: FillTarget, tmp_path: Path) -> None:
    paths = [write_rows(tmp_path / f"{name}.tsv", _rows_of(target, name)) for name in ("old", "new")]
    await FillJob(target, paths[:1]).run()
    reader = CacheStore(target.cache.connection)
    done = asyncio.Event()
    seen = set()

    async def read() -> None:
        while not done.is_set():
            answer = await reader.read("us", "query 1")
            seen.add(frozenset(product.id.partition("-")[0] for product in answer.products))

    reading = asyncio.create_task(read())
    for path in (*paths, *paths[1:]):
        await FillJob(target, [path]).run()
    done.set()
    await reading
    assert seen == {frozenset({"old"}), frozenset({"new"})}


def _rows_of(target: FillTarget, name: str) -> list[str]:
    pairs = [
        QueryProductPair("us", "query 1", Product(f"{name}-{number}", title_of(number))) for number in range(40)
    ]
    scores = target.scorer.score(pairs)
    rows = [f"{pair.query}\t{pair.product.id}\t{pair.product.title}" for pair in pairs]
    assert any(score >= 0.5 for score in scores)
    return rows


class AtTheFlip(CacheConnection):
    """Something happens as soon as readers see another generation."""

    happens: Callable[[], None] = staticmethod(lambda: None)

    async def replace(self, key: str, old: str | None, new: str) -> bool:
        done = await super().replace(key, old, new)
        if done and key == active_key("us"):
            self.happens()
        return done


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
    settings = settings_for(tiny_store, tmp_path, fill_folder=tmp_path / "fills", fill_wait_seconds=0.2)
    connection = AtTheFlip.open(server.url, timeout_seconds=0.5)
    yield FillTarget("us", scorer, CacheStore(connection), settings)
    await connection.close()


@pytest.fixture
def candidates(tmp_path: Path) -> list[Path]:
    return [write_candidates(tmp_path / "c.tsv", 10, 5)]


def _happening(target: FillTarget, happens: Callable[[], None]) -> None:
    connection = target.cache.connection
    assert isinstance(connection, AtTheFlip)
    connection.happens = happens


async def test_a_cache_that_goes_away_then_is_told_of(
    target: FillTarget,
    candidates: list[Path],
    server: PersistentServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = await FillJob(target, candidates).run()
    _happening(target, server.kill)
    job = FillJob(target, candidates)
    report = await job.run()
    assert (job.flipped, report.flipped) == (True, True)
    assert "stay until the next fill" in capsys.readouterr().err
    server.start()
    _happening(target, lambda: None)
    active = await target.cache.generations.active("us")
    assert active is not None
    # What the killed server had not yet brought to the disk may be lost; what it has is one whole generation.
    assert active.number in (first.generation, report.generation)
    again = await FillJob(target, candidates).run()
    kept = [generation.number for generation in await target.cache.generations.all("us")]
    assert again.generation in kept
    assert len(kept) == 2


@pytest.mark.parametrize("kind", ["record", "query log"])
async def test_a_fill_folder_that_cannot_be_changed_then_is_told_of(
    target: FillTarget, candidates: list[Path], capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    file = FillRecordFile(target.settings.fill_folder, "us")

    def put_a_folder_in_its_place() -> None:
        record = file.read()
        assert record is not None
        path = file.path if kind == "record" else file.query_log(record.fill_id)
        path.unlink()
        (path / "in the way").mkdir(parents=True)

    _happening(target, put_a_folder_in_its_place)
    report = await FillJob(target, candidates).run()
    assert report.flipped
    errors = capsys.readouterr().err
    assert "stay until the next fill" in errors
    assert "setting FILL_FOLDER" in errors
    active = await target.cache.generations.active("us")
    assert active is not None
    assert active.number == report.generation


async def test_a_flip_whose_reply_is_lost_does_not_promise_the_old_generation(
    target: FillTarget, candidates: list[Path], server: PersistentServer
) -> None:
    def lose_the_reply() -> None:
        server.kill()
        raise CacheUnavailableError("the reply was lost")

    _happening(target, lose_the_reply)
    with pytest.raises(PartialFlipError, match="readers of 'us' see the old or the new generation") as lost:
        await FillJob(target, candidates).run()
    assert lost.value.exit_code not in (0, CacheUnavailableError.exit_code)
    server.start()
    _happening(target, lambda: None)
    report = await FillJob(target, candidates).run()
    active = await target.cache.generations.active("us")
    assert active is not None
    assert active.number == report.generation


async def test_without_room_for_older_generations_the_next_fill_removes_them(
    target: FillTarget, candidates: list[Path]
) -> None:
    one = replace(target, cache=CacheStore(target.cache.connection, kept_generations=1))
    for _ in range(3):
        report = await FillJob(one, candidates).run()
    assert [generation.number for generation in await one.cache.generations.all("us")] == [report.generation]


@pytest.mark.parametrize("coverage", [0.0, -0.1, 1.0001, math.nan, math.inf])
def test_a_coverage_that_is_no_share_names_the_option(coverage: float) -> None:
    with pytest.raises(ConfigurationError, match="--coverage: "):
        FillOptions(coverage=coverage)


def test_everything_may_be_covered() -> None:
    assert FillOptions(coverage=1).coverage == 1
