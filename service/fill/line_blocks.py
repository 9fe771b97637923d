"""Lines of a text file, many at once; those that are not wanted are counted, not decoded."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterable, Iterator
from io import BufferedReader

_BLOCK_BYTES = 1 << 16

NumberedLines = tuple[int, list[str]]
"""The 1-based number of the first line, and the lines without their line feeds."""


def whole_lines(source: BufferedReader | gzip.GzipFile) -> Iterator[bytes]:
    """The file in parts that end where a line ends.

    What could be read is yielded before an error of the file is raised.
    """
    parts: list[bytes] = []
    while block := source.read1(_BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join((*parts, block[:end]))
            parts = []
        parts.append(block[end:])
    if last := b"".join(parts):
        yield last


def numbered_lines(blocks: Iterable[bytes], after: int) -> Iterator[NumberedLines]:
    """The lines behind line number `after`. Bytes that are not UTF-8 become lone surrogates."""
    first = 1
    for block in blocks:
        following = first + block.count(b"\n") + (not block.endswith(b"\n"))
        if following > after + 1:
            content = block.removeprefix(codecs.BOM_UTF8) if first == 1 else block
            lines = content.removesuffix(b"\n").decode("utf-8", "surrogateescape").split("\n")
            skipped = max(after + 1 - first, 0)
            yield first + skipped, lines[skipped:]
        first = following
