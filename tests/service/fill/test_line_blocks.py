from __future__ import annotations

import gzip
import io
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from service.fill.line_blocks import numbered_lines, whole_lines

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
        for first, block in numbered_lines(blocks, after)
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
    assert found == [(1, ["a"]), (2, ["\ufeffb"])]
