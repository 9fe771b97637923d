from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, InputError
from model_store.tables.values import BadRow
from service.fill.candidates.query_log import QueryLog
from service.fill.candidates.rejected import RejectedRows
from service.fill.files import ResumedFile
from service.fill.generation.record import FillRecordFile, fingerprint
from service.fill.job import FillJob
from service.fill.target import FillTarget
from tests.support.service.watched_fill import write_candidates, write_rows


def test_what_a_checkpoint_does_not_know_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "fill" / "rows"
    with ResumedFile(path, 0) as file:
        file.write(b"known, and more")
        file.sync()
        assert path.read_bytes() == b"known, and more"
    with ResumedFile(path, 5) as file:
        file.write(b"!")
    assert path.read_bytes() == b"known!"
    with ResumedFile(path, 0):
        assert path.read_bytes() == b""


def test_a_folder_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"setting FILL_FOLDER: .*file"):
        ResumedFile(tmp_path / "file" / "rows", 0)


def test_queries_noted_after_a_checkpoint_do_not_count(tmp_path: Path) -> None:
    log = QueryLog(tmp_path / "queries")
    log.add(["tea", "sofa", "tea"])
    log.sync()
    size = log.size
    log.add(["chair"])
    assert log.distinct() == 3
    log.close()
    again = QueryLog(tmp_path / "queries", size)
    assert again.distinct() == 2
    again.add(["sofa", "lamp"])
    assert again.distinct() == 3
    again.close()


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process can be longer, as on a disk that is full then."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


def test_the_query_log_says_so_when_it_is_written_brought_to_the_disk_or_counted(tmp_path: Path) -> None:
    keys = [f"query {number}" for number in range(1000)]
    for act in ("add", "sync", "distinct"):
        log = QueryLog(tmp_path / act)
        with room_for(4000):
            if act != "add":
                log.add(keys[:600])
            with pytest.raises(ConfigurationError, match="setting FILL_FOLDER"):
                log.add(keys * 10) if act == "add" else getattr(log, act)()
            log.close()


def test_the_rejected_rows_say_so_when_they_are_written_and_brought_to_the_disk(tmp_path: Path) -> None:
    rejected = RejectedRows(tmp_path / "rows")
    bad = BadRow(2, "x" * 500, "query")
    with room_for(4000):
        with pytest.raises(ConfigurationError, match="setting FILL_FOLDER"):
            _note(rejected, bad, 100)
        with pytest.raises(ConfigurationError, match="setting FILL_FOLDER"):
            rejected.sync()
        rejected.close()


def _note(rejected: RejectedRows, bad: BadRow, times: int) -> None:
    for _ in range(times):
        rejected.add(Path("c.tsv"), bad)


def test_a_file_that_is_shorter_than_its_checkpoint_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"short")
    with pytest.raises(ConfigurationError, match=r"has 5 bytes, the checkpoint of its fill knows 8; .*--restart"):
        ResumedFile(path, 8)
    with pytest.raises(ConfigurationError, match="setting FILL_FOLDER"):
        ResumedFile(tmp_path / "gone", 8)


def test_a_record_in_a_folder_that_is_none_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "fills").touch()
    file = FillRecordFile(tmp_path / "fills", "us")
    assert file.read() is None
    with pytest.raises(ConfigurationError, match="setting FILL_FOLDER"):
        file.remove()


def test_candidates_that_are_gone_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.tsv: cannot be read"):
        fingerprint(tmp_path / "gone.tsv", 10)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["queries", "bad rows", "record"])
async def test_a_fill_ends_with_the_setting_and_resumes_when_there_is_room(
    target: FillTarget, tmp_path: Path, kind: str
) -> None:
    sizes = {"fill_checkpoint_pairs": 512, "fill_rescored_pairs": 64 if kind == "record" else 0}
    changes = {**sizes, "fill_bad_row_share": 0.9}
    target = replace(target, settings=target.settings.model_copy(update=changes))
    if kind == "bad rows":
        rows = [f"query {number % 50}\tp{number}" + "\tlamp" * (number % 3 > 0) for number in range(3000)]
        path = write_rows(tmp_path / "c.tsv", rows)
    else:
        path = write_candidates(tmp_path / "c.tsv", 1500, 2)
    with room_for(8000), pytest.raises(ConfigurationError, match=r"setting FILL_FOLDER: .*make room"):
        await FillJob(target, [path]).run()
    assert await target.cache.generations.active("us") is None
    report = await FillJob(target, [path]).run()
    assert report.flipped
    assert report.counts.scored == (2000 if kind == "bad rows" else 3000)
    assert report.resumed == 1
