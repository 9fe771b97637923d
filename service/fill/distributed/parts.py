"""Candidate files cut into parts by row numbers, so that any machine can read any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from model_store.tables.lines import FileStamp
from model_store.tables.rows import has_header
from model_store.tables.values import BadRow
from service.fill.candidates.chunks import Candidate, CandidateFile, OtherMarketplace


class FilePart(BaseModel):
    """Rows after `first_row` up to `last_row`, or to the end, of the file at place `file`, as it was then."""

    model_config = ConfigDict(frozen=True)

    number: int
    file: int
    path: Path
    stamp: FileStamp
    first_row: int
    last_row: int | None


class PartFile(CandidateFile):
    """The candidates of one part."""

    def __init__(self, part: FilePart, marketplace: str, max_text_characters: int) -> None:
        super().__init__(part.path, marketplace, max_text_characters, part.stamp)
        self._last_row = part.last_row

    def pairs(self, start_row: int = 0) -> Iterator[Candidate | OtherMarketplace | BadRow]:
        """One item for each row after row number `start_row`, up to the part's last row."""
        for item in super().pairs(start_row):
            if self._last_row is not None and item.row > self._last_row:
                self.check_unchanged()
                return
            yield item


def file_parts(paths: Sequence[Path], rows: Sequence[int], part_rows: int) -> list[FilePart]:
    """Parts of `part_rows` rows, numbered in the order of the files; the last of a file goes to its end.

    Args:
        rows: of each file the number of its last row, or a larger one.
    """
    parts: list[FilePart] = []
    for place, (path, last) in enumerate(zip(paths, rows, strict=True)):
        header, stamp = has_header(path), FileStamp.of(path)
        starts = range(int(header), max(last, header + 1), part_rows)
        parts += [
            FilePart(
                number=len(parts) + count,
                file=place,
                path=path.resolve(),
                stamp=stamp,
                first_row=start,
                last_row=start + part_rows if start != starts[-1] else None,
            )
            for count, start in enumerate(starts)
        ]
    return parts


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
