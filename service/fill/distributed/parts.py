"""Candidate files cut into parts by row numbers, so that any machine can read any of them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from service.fill.bad_row import BadRow
from service.fill.candidates.reading import Candidate, CandidateFile, OtherMarketplace
from service.fill.table_rows import form_of

_WITHOUT_HEADER = (".jsonl", ".ndjson", ".parquet")
_BLOCK_BYTES = 1 << 20


class FilePart(BaseModel):
    """Rows after `first_row` up to `last_row`, or to the end, of the file at place `file`."""

    model_config = ConfigDict(frozen=True)

    number: int
    file: int
    path: Path
    first_row: int
    last_row: int | None


class PartFile(CandidateFile):
    """The candidates of one part."""

    def __init__(self, part: FilePart, marketplace: str, max_text_characters: int) -> None:
        super().__init__(part.path, marketplace, max_text_characters)
        self._last_row = part.last_row

    def pairs(self, start_row: int = 0) -> Iterator[Candidate | OtherMarketplace | BadRow]:
        """One item for each row after row number `start_row`, up to the part's last row."""
        for item in super().pairs(start_row):
            if self._last_row is not None and item.row > self._last_row:
                return
            yield item


def file_parts(paths: Sequence[Path], rows: Sequence[int], part_rows: int) -> list[FilePart]:
    """Parts of `part_rows` rows, numbered in the order of the files; the last of a file goes to its end.

    Args:
        rows: of each file the number of its last row, or a larger one.
    """
    parts: list[FilePart] = []
    for place, (path, last) in enumerate(zip(paths, rows, strict=True)):
        header = form_of(path) not in _WITHOUT_HEADER
        starts = range(int(header), max(last, header + 1), part_rows)
        parts += [
            FilePart(
                number=len(parts) + count,
                file=place,
                path=path.resolve(),
                first_row=start,
                last_row=start + part_rows if start != starts[-1] else None,
            )
            for count, start in enumerate(starts)
        ]
    return parts


def last_row(path: Path) -> int:
    """The number of a file's last row, or of a CSV, whose rows may have several lines, a larger one.

    Nothing is parsed. Of a damaged file it is the number up to the damage, which reading it will name.
    """
    try:
        if form_of(path) == ".parquet":
            return int(pq.read_metadata(path).num_rows)
        with path.open("rb") as raw:
            return _lines(gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw)
    except (OSError, pa.ArrowException):
        return 0


def _lines(file: gzip.GzipFile | IO[bytes]) -> int:
    lines, ended = 0, True
    try:
        while block := file.read(_BLOCK_BYTES):
            lines += block.count(b"\n")
            ended = block.endswith(b"\n")
    except (OSError, EOFError, zlib.error):
        return lines + 1
    return lines + (not ended)


class PartNumbers:
    """A set of part numbers, told as the ranges that they make up."""

    def __init__(self, ranges: Sequence[tuple[int, int]] = ()) -> None:
        self._numbers = {number for first, last in ranges for number in range(first, last + 1)}

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    def add(self, number: int) -> None:
        """Put one more in."""
        self._numbers.add(number)

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """First and last number of each range, in ascending order."""
        firsts = sorted(number for number in self._numbers if number - 1 not in self._numbers)
        lasts = sorted(number for number in self._numbers if number + 1 not in self._numbers)
        return tuple(zip(firsts, lasts, strict=True))
