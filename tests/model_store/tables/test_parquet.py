from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_store.errors import InputError
from model_store.tables.rows import TableFile, last_row
from model_store.tables.values import BadRow, Column, Values

_COLUMNS = (Column(("query",)), Column(("n", "number"), is_id=True), Column(("absent",)))


def rows_of(path: Path, start_row: int = 0) -> list[tuple[int, Values] | BadRow]:
    return list(TableFile(path, _COLUMNS).rows(start_row))


def texts_of(folder: Path, column: pa.Array, *, name: str = "query") -> list[str | None]:
    """The texts of a column; None for bad rows."""
    path = folder / "a.parquet"
    pq.write_table(pa.table({name: column}), path)
    place = 0 if name == "query" else 1
    return [None if isinstance(row, BadRow) else row[1][place] for row in rows_of(path)]


def test_rows_are_numbered_from_one(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"query": ["té", None], "n": [1, 2]}), path)
    assert rows_of(path) == [(1, ("té", "1", None)), (2, ("", "2", None))]
    assert last_row(path) == 2


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(["a", "b", None]).dictionary_encode(), ["a", "b", ""]),
        (pa.array([7, None, -(2**62)], pa.int64()), ["7", "", str(-(2**62))]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([5, None], pa.int32()).dictionary_encode(), ["5", ""]),
        (pa.array([True, False, None]), ["true", "false", ""]),
        (pa.array([1.5, 12345.0, None, float("nan")]), ["1.5", "12345", "", ""]),
        (pa.array([2.0**53, -0.0]), ["9007199254740992.0", "0"]),
        (pa.array([1.5, 16777215, 16777216], pa.float32()), ["1.5", "16777215", "16777216.0"]),
        (pa.array([Decimal("12345.00"), Decimal("1.50"), None]), ["12345", "1.50", ""]),
        (pa.array([["a ", None, "b"], [], None], pa.list_(pa.string())), ["a b", "", ""]),
        (pa.array([[1.0, float("nan"), 2.5]]), ["1 2.5"]),
        (pa.array([{"en": "Lamp", "n": None}]), ['{"en": "Lamp", "n": null}']),
        (pa.array([{"x": float("nan")}]), ['{"x": null}']),
        (pa.array([b"t\xc3\xa9", None]), ["té", ""]),
        (pa.array(["a", None], pa.large_string()), ["a", ""]),
        (pa.array([None, None]), ["", ""]),
        (pa.array([date(2026, 1, 2)]), ["2026-01-02"]),
        (pa.array([1_700_000_000], pa.timestamp("s")), ["2023-11-14 22:13:20.000"]),
        (pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")), ["2023-11-14 22:13:20.123456789"]),
        (pa.array([float("inf"), 1.0]), [None, "1"]),
        (pa.array([b"t\xff", b"fine"]), [None, "fine"]),
    ],
)
def test_types_become_texts(tmp_path: Path, column: pa.Array, texts: Sequence[str | None]) -> None:
    assert texts_of(tmp_path, column) == texts


@pytest.mark.parametrize(
    ("column", "ids"),
    [
        (pa.array([12345.0, None, 1.5, 2.0**53, 1e300]), ["12345", "", None, None, None]),
        (pa.array([3.0, 2.0**24], pa.float32()), ["3", None]),
        (pa.array([Decimal("7.00"), Decimal("7.50")]), ["7", None]),
        (pa.array([-3.0, float("nan")]), ["-3", ""]),
    ],
)
def test_numbers_that_are_ids_are_whole(tmp_path: Path, column: pa.Array, ids: Sequence[str | None]) -> None:
    assert texts_of(tmp_path, column, name="n") == ids


@pytest.mark.parametrize(
    "other",
    [
        pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns", tz="Not/AZone")),
        pa.array([10**7, None], pa.date32()),
        pa.array([1, None], pa.duration("ns")),
        pa.array([[10**18 + 1], None], pa.list_(pa.timestamp("ns"))),
        pa.array([b"\xff", None]),
    ],
)
def test_columns_that_nobody_wants_are_not_read(tmp_path: Path, other: pa.Array) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"other": other, "query": ["a", "b"], "other.n": [1, 2]}), path)
    assert rows_of(path) == [(1, ("a", None, None)), (2, ("b", None, None))]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([10**7], pa.date32()),
        pa.array([[10**7]], pa.list_(pa.date32())),
        pa.array([1], pa.timestamp("ns", tz="Not/AZone")),
        pa.array([[1]], pa.list_(pa.timestamp("us", tz="Not/AZone"))),
        pa.array([{"at": 10**18 + 1}], pa.struct({"at": pa.timestamp("ns")})),
    ],
)
def test_a_wanted_cell_is_text_or_named(tmp_path: Path, cells: pa.Array) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"query": cells, "n": [1]}), path)
    (row,) = rows_of(path)
    if isinstance(row, BadRow):
        assert (row.row, row.field) == (1, "query")
        assert "cannot be written as text" in row.problem
    else:
        assert row[1][0]


def test_cells_that_are_not_utf8_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = pa.Array.from_buffers(pa.string(), 3, pa.array([b"t\xff", b"fine", b"too"]).buffers())
    pq.write_table(pa.table({"query": texts, "number": [3, None, 4], "other": texts}), path)
    bad, second, third = rows_of(path)
    assert isinstance(bad, BadRow)
    assert (bad.row, bad.field) == (1, "query")
    assert "not UTF-8" in bad.problem
    assert [second, third] == [(2, ("fine", "", None)), (3, ("too", "4", None))]


def test_rows_behind_a_row_skip_whole_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"query": [f"q{n}" for n in range(10)], "n": range(10)}), path, row_group_size=3)
    with path.open("r+b") as file:
        # The first row group's data is gone; whoever reads it fails.
        file.seek(4)
        file.write(b"\xff" * 20)
    assert rows_of(path, 3)[0] == (4, ("q3", "3", None))
    with pytest.raises(InputError, match=r"a\.parquet, row 3: no readable Parquet file"):
        rows_of(path, 2)


def test_a_large_row_group_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = pa.array([random.Random(number).randbytes(100).hex() for number in range(100_000)])
    pq.write_table(pa.table({"query": texts}), path, use_dictionary=False, compression="none")
    del texts
    assert path.stat().st_size > 20_000_000
    before = pa.total_allocated_bytes()
    rows = TableFile(path, _COLUMNS).rows()
    held = [pa.total_allocated_bytes() - before for n, _ in enumerate(rows) if n % 1000 == 0]
    assert len(held) == 100
    assert max(held) < 8_000_000
