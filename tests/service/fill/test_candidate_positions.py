"""Reading from any row on gives what reading the whole file gives from there."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.fill.candidates.chunks import Candidate, CandidateFile, OtherMarketplace

_COLUMNS = ("query", "id", "title", "brand", "marketplace")
_FORMS = ("tsv", "tsv.gz", "csv", "csv.gz", "jsonl", "jsonl.gz", "parquet")
_BLANK_AND_BROKEN = {
    "tsv": "\n\r\none field\n",
    "csv": '\n"broken"x,2\none field\n',
    "jsonl": "\n  \n{broken\n[1]\n",
}


def _rows(count: int) -> list[tuple[str, ...]]:
    return [
        (
            f" query {number} té" if number % 7 else " ",
            f"p{number}",
            f"title\u2028{number}" if number % 5 else "a\x00b",
            "",
            ("us", "es", "")[number % 3],
        )
        for number in range(count)
    ]


def _write(path: Path, form: str, count: int) -> Path:
    rows = _rows(count)
    if form == "parquet":
        columns = dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns), path, row_group_size=7)
        return path
    plain = path.with_name(f"plain.{form.removesuffix('.gz')}")
    with plain.open("w", encoding="utf-8", newline="") as file:
        if form.startswith("tsv"):
            file.writelines("\t".join(row) + "\n" for row in [_COLUMNS, *rows[: count // 2]])
            file.write(_BLANK_AND_BROKEN["tsv"])
            file.writelines("\t".join(row) + "\r\n" for row in rows[count // 2 :])
        elif form.startswith("csv"):
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows((*row[:2], f"{row[2]}\r\nsecond, line", *row[3:]) for row in rows[: count // 2])
            file.write(_BLANK_AND_BROKEN["csv"])
            writer.writerows(rows[count // 2 :])
        else:
            lines = [json.dumps(dict(zip(_COLUMNS, row, strict=True))) + "\n" for row in rows]
            file.writelines([*lines[: count // 2], _BLANK_AND_BROKEN["jsonl"], *lines[count // 2 :]])
    content = plain.read_bytes()
    path.write_bytes(gzip.compress(content) if form.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("form", _FORMS)
def test_every_position_gives_the_same_items_as_a_whole_read(tmp_path: Path, form: str) -> None:
    file = CandidateFile(_write(tmp_path / f"c.{form}", form, 40), "us", 100)
    whole = list(file.pairs())
    rows = [item.row for item in whole]
    assert rows == sorted(set(rows))
    assert {type(item).__name__ for item in whole} == {"PairRow", "OtherMarketplace", "BadRow"}
    for start_row in range(rows[-1] + 3):
        assert list(file.pairs(start_row)) == [item for item in whole if item.row > start_row]


@pytest.mark.parametrize("form", _FORMS)
def test_positions_across_blocks_and_batches(tmp_path: Path, form: str) -> None:
    file = CandidateFile(_write(tmp_path / f"c.{form}", form, 10_000), "us", 100)
    whole = list(file.pairs())
    assert sum(isinstance(item, Candidate) for item in whole) > 4000
    assert sum(isinstance(item, OtherMarketplace) for item in whole) > 3000
    for start_row in (1, 1000, 4095, 4096, 4097, 9_999, 10_000, 10_001):
        assert list(file.pairs(start_row)) == [item for item in whole if item.row > start_row]
