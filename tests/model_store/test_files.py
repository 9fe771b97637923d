"""Files that a user names are there whole or not at all; devices and pipes are never replaced or waited for."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from model_store.files import replaced_file, replaced_path, write_bytes_atomically


def test_after_an_error_the_old_file_stays_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "scores.tsv"
    write_bytes_atomically(path, b"old")

    def interrupted() -> None:
        with replaced_file(path) as file:
            file.write(b"half of the new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_bytes_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_device_stays_one_and_says_that_it_is_full() -> None:
    with pytest.raises(OSError, match="No space left"):
        write_bytes_atomically(Path("/dev/full"), b"more than it holds")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_a_pipe_is_written_if_somebody_reads_it_and_else_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="pipe"):
        write_bytes_atomically(pipe, b"nobody reads")
    read: list[bytes] = []
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    # A reader that looks before anybody writes would take that for the end.
    waiting = os.open(pipe, os.O_WRONLY)
    content = os.urandom(300_000)  # more than a pipe holds
    reading = threading.Thread(target=lambda: read.extend(iter(lambda: os.read(reader, 1 << 16), b"")))
    reading.start()
    write_bytes_atomically(pipe, content)
    os.close(waiting)
    reading.join()
    os.close(reader)
    assert b"".join(read) == content
    assert pipe.is_fifo()


def test_what_a_killed_writer_left_is_overwritten_where_there_is_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    for number in range(2):
        with replaced_path(path, one_writer=True) as temporary:
            assert temporary.exists() == bool(number)
            temporary.write_text(f"{number}")
        temporary.write_text("a killed writer's")
    assert path.read_text() == "1"
    assert sorted(tmp_path.iterdir()) == [temporary, path]
