from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from model_store.errors import InputError
from service.fill.candidates.files import candidate_paths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "candidates"
    for name in ("b.tsv", "a/z.csv.gz", "a/y.parquet", "c.JSONL", "notes.md", ".hidden.tsv", ".git/x.tsv"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return folder


def paths_of(*arguments: Path) -> list[Path]:
    return candidate_paths([str(argument) for argument in arguments], arguments[0].parent / "fills")


def test_files_come_in_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    # Whether they can be read is said when they are read.
    named = [tmp_path / "b.tsv", tmp_path / "a.parquet"]
    assert paths_of(*named) == named


def test_a_folder_stands_for_all_its_files_of_known_forms(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = folder.parent / "first.tsv"
    names = ["a/y.parquet", "a/z.csv.gz", "b.tsv", "c.JSONL"]
    assert paths_of(first, folder) == [first, *(folder / name for name in names)]
    assert capsys.readouterr().err == f"{folder}: files left out, as hidden or of another form: 2\n"


def test_nothing_is_said_of_a_folder_of_which_everything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.tsv").write_text("")
    paths_of(tmp_path)
    assert capsys.readouterr().err == ""


def test_what_fills_wrote_themselves_is_not_read(folder: Path) -> None:
    own = folder / "fills"
    own.mkdir()
    (own / "us.rejected.jsonl").write_text("")
    assert own / "us.rejected.jsonl" not in candidate_paths([str(folder)], own)


@pytest.mark.parametrize("name", ["notes.md", ".hidden.tsv", None])
def test_a_folder_with_nothing_to_read_is_refused(tmp_path: Path, name: str | None) -> None:
    if name:
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match="the folder holds no file to read"):
        paths_of(tmp_path)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_that_leads_out_of_the_folder_is_refused(folder: Path, kind: str) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "o.tsv").write_text("")
    link = folder / "a" / "link.tsv"
    link.symlink_to(outside if kind == "folder" else outside / "o.tsv")
    with pytest.raises(InputError, match=rf"{re.escape(str(link))}: a symbolic link that leads out"):
        paths_of(folder)


def test_a_link_to_a_folder_within_is_not_followed(folder: Path) -> None:
    before = paths_of(folder)
    (folder / "again").symlink_to(folder / "a")
    (folder / "round").symlink_to(folder)
    assert paths_of(folder) == before


def test_a_link_in_a_circle_is_refused(folder: Path) -> None:
    link = folder / "circle.tsv"
    link.symlink_to(link)
    with pytest.raises(InputError, match=r"circle\.tsv: cannot be read"):
        paths_of(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_refused(folder: Path) -> None:
    (folder / "a").chmod(0)
    with pytest.raises(InputError, match="the folder cannot be read"):
        paths_of(folder)
    (folder / "a").chmod(0o700)


def test_a_file_that_is_named_twice_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"b\.tsv: named twice, also as"):
        paths_of(folder, folder / "b.tsv")
    with pytest.raises(InputError, match=r"z\.csv\.gz: named twice"):
        paths_of(folder / "a" / "z.csv.gz", folder / "a" / ".." / "a" / "z.csv.gz")
    with pytest.raises(InputError, match="standard input is named twice"):
        candidate_paths(["-", "-"], folder)
