from __future__ import annotations

import os
from pathlib import Path

import pytest

from model_store.errors import InputError
from service.jobs.folder import CandidateFolder
from tests.support.service.watched_fill import write_rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "candidates"
    (folder / "today").mkdir(parents=True)
    write_rows(folder / "one.tsv", ["a\t1\tx"])
    write_rows(folder / "today" / "two.tsv", ["a\t1\tx"])
    write_rows(folder / "today" / ".hidden.tsv", ["a\t1\tx"])
    write_rows(tmp_path / "outside.tsv", ["secret\t1\tx"])
    return folder


def found(folder: Path, *names: str) -> list[str]:
    paths = CandidateFolder(folder).paths(names, folder / "fills", said.append)
    return [str(path.relative_to(folder)) for path in paths]


said: list[str] = []


def test_files_and_folders_are_found(folder: Path) -> None:
    said.clear()
    assert found(folder, "one.tsv", "today/") == ["one.tsv", "today/two.tsv"]
    assert found(folder, ".") == ["one.tsv", "today/two.tsv"]
    assert found(folder, "./today/two.tsv") == ["today/two.tsv"]
    assert said
    assert "files left out" in said[0]


@pytest.mark.parametrize(
    "name", ["../outside.tsv", "today/../../outside.tsv", "/etc/passwd", "", "..", "a\x00b", "today/..", "/"]
)
def test_no_name_leads_out(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"field 'candidates\[1\]': .* names nothing below JOBS_FOLDER"):
        found(folder, "one.tsv", name)


def test_no_link_leads_out(folder: Path, tmp_path: Path) -> None:
    (folder / "link.tsv").symlink_to(tmp_path / "outside.tsv")
    (folder / "up").symlink_to(tmp_path)
    (folder / "within.tsv").symlink_to(folder / "one.tsv")
    for name in ("link.tsv", "up", "up/outside.tsv"):
        with pytest.raises(InputError, match="leads out of JOBS_FOLDER"):
            found(folder, name)
    with pytest.raises(InputError, match="leads out of the folder"):
        found(folder, ".")
    assert found(folder, "within.tsv") == ["within.tsv"]


@pytest.mark.parametrize("name", ["absent.tsv", "one.tsv/more", "x" * 1000, "\udcff"])
def test_what_is_not_there_is_named(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match="there is no"):
        found(folder, name)


def test_a_pipe_is_not_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe.tsv")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        found(folder, "pipe.tsv")


def test_a_file_that_is_named_twice_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="named twice"):
        found(folder, "today", "today/two.tsv")
