from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from model_store.errors import ConfigurationError, InputError
from service.fill.candidates.standard_input import StandardInputForm, copied_standard_input, remove_copies


def copy_of(content: bytes, folder: Path, form: StandardInputForm = "tsv") -> Path:
    """What a process that reads `content` from a pipe makes of it."""
    source = folder.parent / "source"
    source.write_bytes(content)
    with source.open("rb") as stream:
        return copied_standard_input(stream, folder, form)


@pytest.mark.parametrize("form", get_args(StandardInputForm))
def test_the_same_content_has_the_same_name(tmp_path: Path, form: StandardInputForm) -> None:
    folder = tmp_path / "fills"
    content = os.urandom(3_000_000)
    first = copy_of(content, folder, form)
    assert first.read_bytes() == content
    assert first.suffix == f".{form}"
    assert copy_of(content, folder, form) == first
    assert copy_of(content + b"x", folder, form) != first
    assert len(list(folder.iterdir())) == 2


def test_gzip_is_recognised(tmp_path: Path) -> None:
    assert copy_of(gzip.compress(b"query\n"), tmp_path / "fills").name.endswith(".tsv.gz")


@pytest.mark.parametrize(
    ("content", "form", "message"),
    [(b"", "tsv", "standard input is empty"), (gzip.compress(b"PAR1", mtime=0), "parquet", "compressed by gzip")],
)
def test_what_cannot_be_read_is_refused_and_leaves_nothing(
    tmp_path: Path, content: bytes, form: StandardInputForm, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        copy_of(content, tmp_path / "fills", form)
    assert not list((tmp_path / "fills").iterdir())


def test_a_terminal_is_refused(tmp_path: Path) -> None:
    leader, follower = os.openpty()
    with (
        os.fdopen(leader, "rb", buffering=0),
        os.fdopen(follower, "rb", buffering=0) as terminal,
        pytest.raises(InputError, match="a terminal"),
    ):
        copied_standard_input(terminal, tmp_path, "tsv")


def test_a_fill_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "fills").write_text("")
    with pytest.raises(ConfigurationError, match="setting FILL_FOLDER"):
        copy_of(b"query\n", tmp_path / "fills")


def _copying_process(folder: Path) -> subprocess.Popen[bytes]:
    """A process that is in the middle of copying its standard input."""
    program = (
        "import sys, pathlib, service.fill.candidates.standard_input as it;"
        "print(it.copied_standard_input(sys.stdin.buffer, pathlib.Path(sys.argv[1]), 'tsv'))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    # More than a pipe holds, so when this returns, the process has begun to read.
    process.stdin.write(bytes(3_000_000))
    process.stdin.flush()
    return process


def test_what_a_killed_process_left_is_removed_but_nothing_of_one_that_lives(tmp_path: Path) -> None:
    folder = tmp_path / "fills"
    with _copying_process(folder) as killed:
        killed.kill()
    with _copying_process(folder) as living:
        assert len(list(folder.glob(".stdin-*"))) == 1
        own = copy_of(b"query\n", folder)
        output, _ = living.communicate(b"end", timeout=60)
    theirs = Path(output.decode().strip())
    assert theirs.read_bytes() == bytes(3_000_000) + b"end"
    assert set(folder.iterdir()) == {own, theirs}


def test_only_copies_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "fills"
    copy = copy_of(b"query\n", folder)
    named = [folder / "candidates.tsv", tmp_path / "stdin-1.tsv"]
    for path in named:
        path.write_text("")
    remove_copies([copy, *named], folder)
    assert not copy.exists()
    assert all(path.exists() for path in named)
