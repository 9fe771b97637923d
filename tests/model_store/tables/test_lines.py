from __future__ import annotations

import gzip
import io
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.errors import InputError
from model_store.tables.lines import FileStamp, count_lines, iter_lines, numbered_lines, whole_lines

_LINES = st.lists(st.text(st.sampled_from("aé日\r\x0b\u2028"), max_size=4), max_size=12)


@given(lines=_LINES, ended=st.booleans(), cuts=st.sets(st.integers(1, 12)), after=st.integers(0, 14))
def test_lines_keep_their_numbers_however_the_file_comes_in_parts(
    lines: list[str], ended: bool, cuts: set[int], after: int
) -> None:
    text = "\n".join([*lines, ""]) if ended else "\n".join(lines)
    expected = text.removesuffix("\n").split("\n") if text else []
    whole = text.encode().split(b"\n")
    pieces = [piece + b"\n" for piece in whole[:-1]] + ([whole[-1]] if whole[-1] else [])
    edges = [0, *sorted(cut for cut in cuts if cut < len(pieces)), len(pieces)]
    blocks = [b"".join(pieces[start:end]) for start, end in pairwise(edges) if start < end]
    found = [
        (first + place, line)
        for first, block, _ in numbered_lines(blocks, after)
        for place, line in enumerate(block)
    ]
    assert found == [(number, line) for number, line in enumerate(expected, start=1) if number > after]


def test_parts_end_where_lines_end(tmp_path: Path) -> None:
    content = b"".join(b"%d\n" % (number**9) for number in range(40_000)) + b"y" * 150_000 + b"\nunended"
    path = tmp_path / "a"
    path.write_bytes(content)
    packed = io.BytesIO(gzip.compress(content))
    with path.open("rb") as plain, gzip.GzipFile(fileobj=packed) as unpacked:
        for source in (plain, unpacked):
            blocks = list(whole_lines(source))
            assert b"".join(blocks) == content
            assert len(blocks) > 3
            assert all(block.endswith(b"\n") for block in blocks[:-1])


def test_a_byte_order_mark_is_left_out_at_the_start_only() -> None:
    mark = "\ufeff".encode()
    found = list(numbered_lines([mark + b"a\n", mark + b"b\n"], 0))
    assert found == [(1, ["a"], True), (2, ["\ufeffb"], True)]


def test_lines_that_are_not_utf8_are_marked() -> None:
    found = list(numbered_lines([b"a\n", b"t\xe9\nb\n"], 0))
    assert found == [(1, ["a"], True), (2, ["t\udce9", "b"], False)]


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbffine\r\ngro\xdf\n")
    lines = iter_lines(path)
    assert next(lines) == (1, "fine")
    with pytest.raises(InputError, match=r"a\.txt, row 2: byte 0xdf is not UTF-8"):
        next(lines)


@pytest.mark.parametrize("content", [b"", b"\n", b"a", b"a\n\nb", b"a\r\n"])
@pytest.mark.parametrize("zipped", [False, True])
def test_lines_are_counted_without_being_read(tmp_path: Path, content: bytes, zipped: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert count_lines(path) == len(list(iter_lines(path)))


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tsv")
    for name, problem in (("pipe.tsv", "no regular file"), (".", "a folder"), ("no", "No such file")):
        with pytest.raises(InputError, match=problem):
            FileStamp.of(tmp_path / name)
