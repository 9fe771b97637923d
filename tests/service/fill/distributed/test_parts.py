from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_store.errors import InputError
from model_store.tables.rows import last_row
from service.fill.candidates.chunks import Candidate, CandidateFile
from service.fill.distributed.parts import FilePart, PartFile, PartNumbers, file_parts
from tests.support.service.watched_fill import HEADER

_ROWS = [(f"query {row}", f"p{row}", f"title {row}") for row in range(25)]


def _tsv(folder: Path) -> Path:
    path = folder / "c.tsv"
    path.write_text("\n".join([HEADER, *("\t".join(row) for row in _ROWS)]), encoding="utf-8")
    return path


def _csv_with_line_ends(folder: Path) -> Path:
    path = folder / "c.csv"
    lines = [f'"{query}","{product}","{title}\nand more"' for query, product, title in _ROWS]
    path.write_text("\n".join(["query,product_id,product_title", *lines]) + "\n", encoding="utf-8")
    return path


def _json_lines(folder: Path) -> Path:
    path = folder / "c.jsonl.gz"
    lines = [f'{{"query": "{query}", "id": "{name}", "title": "{title}"}}' for query, name, title in _ROWS]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def _parquet(folder: Path) -> Path:
    path = folder / "c.parquet"
    columns = dict(zip(("query", "id", "title"), map(list, zip(*_ROWS, strict=True)), strict=True))
    pq.write_table(pa.table(columns), path, row_group_size=7)
    return path


@pytest.mark.parametrize("write", [_tsv, _csv_with_line_ends, _json_lines, _parquet])
def test_parts_together_are_the_file(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    parts = file_parts([path], [last_row(path)], 10)
    read = [
        [item for item in PartFile(part, "us", 1000).pairs(part.first_row) if isinstance(item, Candidate)]
        for part in parts
    ]
    assert [len(found) for found in read if found] == [10, 10, 5]
    assert [item for found in read for item in found] == list(CandidateFile(path, "us", 1000).pairs())


def test_parts_are_numbered_over_all_files(tmp_path: Path) -> None:
    paths = [_tsv(tmp_path), _parquet(tmp_path)]
    parts = file_parts(paths, [last_row(path) for path in paths], 20)
    assert [(part.number, part.file, part.first_row, part.last_row) for part in parts] == [
        (0, 0, 1, 21),
        (1, 0, 21, None),
        (2, 1, 0, 20),
        (3, 1, 20, None),
    ]


def test_a_file_of_a_header_alone_is_one_empty_part(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text(f"{HEADER}\n", encoding="utf-8")
    (part,) = file_parts([path], [last_row(path)], 10)
    assert list(PartFile(part, "us", 1000).pairs(part.first_row)) == []


def test_a_file_that_is_cut_off_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    path = _json_lines(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    parts = file_parts([path], [last_row(path)], 10)
    with pytest.raises(InputError, match="copy the file again"):
        _read_all(parts)


def _read_all(parts: list[FilePart]) -> None:
    for part in parts:
        list(PartFile(part, "us", 1000).pairs(part.first_row))


def test_numbers_are_told_as_ranges() -> None:
    numbers = PartNumbers(((0, 2),))
    for number in (7, 4, 5):
        numbers.add(number)
    assert numbers.ranges() == ((0, 2), (4, 5), (7, 7))
    assert 4 in PartNumbers(numbers.ranges())
    assert 3 not in PartNumbers(numbers.ranges())
    assert len(PartNumbers(numbers.ranges())) == 6


def test_a_file_that_changes_is_noticed_by_every_part_that_is_read_afterwards(tmp_path: Path) -> None:
    path = _tsv(tmp_path)
    first, second, third = (PartFile(part, "us", 1000) for part in file_parts([path], [last_row(path)], 10))
    assert len(list(first.pairs(1))) == 10
    begun = second.pairs(11)
    next(begun)
    path.write_text(f"{HEADER}\n", encoding="utf-8")
    for pairs in (begun, third.pairs(21)):
        with pytest.raises(InputError, match="the file changed while it was read"):
            list(pairs)
