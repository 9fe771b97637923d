"""Once readers see the new generation, nothing that goes wrong makes the fill end as if they did not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_store.errors import CacheUnavailableError, PartialFlipError
from service.cache.connection import CacheConnection
from service.cache.keys import active_key
from service.cache.store import CacheStore
from service.engine.scorer import Scorer
from service.fill.generation.record import FillRecordFile
from service.fill.job import FillJob
from service.fill.target import FillTarget
from tests.support.service.redis_servers import PersistentServer
from tests.support.service.running import settings_for
from tests.support.service.watched_fill import write_candidates

pytestmark = pytest.mark.anyio


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
