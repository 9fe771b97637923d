from __future__ import annotations

import gzip
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_store.errors import InputError
from service.fill.bad_row import BadRow
from service.fill.table_rows import TableFile
from service.fill.text_rows import Values

_NAMES = (("query",), ("n", "number"), ("absent",))
_ROWS = [(2, ("té", "1", None)), (3, ("b", "2", None))]


def table_of(path: Path) -> TableFile:
    return TableFile(path, _NAMES)


def rows_of(path: Path, start_row: int = 0) -> list[tuple[int, Values] | BadRow]:
    return list(table_of(path).rows(start_row))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "query\tn\r\nté\t1\r\nb\t2\r\n"),
        ("a.csv", '\ufeffquery,n\n"té",1\nb,2\n'),
        ("a.txt", "query\tn\nté\t1\nb\t2"),
        ("a.tsv.gz", "query\tn\nté\t1\nb\t2\n"),
    ],
)
def test_headed_text_forms(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    content = text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert rows_of(path) == _ROWS
    assert table_of(path).columns() == ["query", "n"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = '{"query": "té", "n": 1}\n\n{"query": ["b", "c"], "n": null}\n'.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert rows_of(path) == [(1, ("té", "1", None)), (3, ("b c", "", None))]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"query": ["té", None], "n": [1, 2]}), path)
    assert rows_of(path) == [(1, ("té", "1", None)), (2, ("", "2", None))]


def test_rows_that_cannot_be_read_are_said_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('query,n\na,1\n"b"x,2\nc\nd,4\n')
    first, second, third, fourth = rows_of(path)
    assert (first, fourth) == ((2, ("a", "1", None)), (5, ("d", "4", None)))
    assert isinstance(second, BadRow)
    assert isinstance(third, BadRow)
    assert (second.row, third.row) == (3, 4)


def test_json_that_is_no_object_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"query": "a"}\n[1]\n{"query"\n' + "[" * 100_000 + "\n")
    assert [isinstance(row, BadRow) for row in rows_of(path)] == [False, True, True, True]


def test_bytes_that_are_not_utf8_stay_visible(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"query\tn\nt\xe9\t1\n")
    assert rows_of(path) == [(2, ("t\udce9", "1", None))]


def test_a_gzip_file_that_is_cut_off_names_the_row_reached(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    whole = gzip.compress(b"query\n" + b"".join(b"%d\n" % (number**5) for number in range(20_000)))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"row .* copy the file again") as caught:
        rows_of(path)
    assert caught.value.row is not None
    assert caught.value.row > 1


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 nothing of the kind")
    with pytest.raises(InputError, match=r"a\.parquet"):
        table_of(path).columns()


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.parquet.gz"])
def test_an_unknown_form_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="unknown kind of file"):
        table_of(tmp_path / name)


def test_an_empty_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        table_of(tmp_path / "a.tsv").columns()
    with pytest.raises(InputError, match="cannot be read"):
        table_of(tmp_path / "b.tsv")


def test_the_position_reaches_the_size(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("query\na\nb\n")
    table = table_of(path)
    list(table.rows())
    assert table.position == table.size


def test_rows_behind_a_row_skip_whole_row_groups_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"query": [f"q{n}" for n in range(10)], "n": range(10)}), path, row_group_size=3)
    with path.open("r+b") as file:
        # The first row group's data is gone; whoever reads it fails.
        file.seek(4)
        file.write(b"\xff" * 20)
    assert rows_of(path, 3)[0] == (4, ("q3", "3", None))
    with pytest.raises(InputError, match=r"a\.parquet, row 3"):
        rows_of(path, 2)


def test_lines_before_the_row_are_not_decoded_into_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xff{broken\n" * 30_000 + b'{"query": "a"}\n')
    table = table_of(path)
    assert list(table.rows(30_000)) == [(30_001, ("a", None, None))]
    assert table.position == table.size


def test_a_line_may_be_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(f"query\tn\n{'x' * 200_000}\t1\nb\t2")
    assert rows_of(path) == [(2, ("x" * 200_000, "1", None)), (3, ("b", "2", None))]


def test_line_separators_within_a_text_are_no_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("query\tn\na\u2028b\x0bc\x85d\t1\n", encoding="utf-8")
    assert rows_of(path) == [(2, ("a\u2028b\x0bc\x85d", "1", None))]


def test_parquet_types_become_texts_and_cells_that_cannot_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = pa.Array.from_buffers(pa.string(), 3, pa.array([b"t\xff", b"fine", b"too"]).buffers())
    numbers = pa.array([["a", "b"], None, ["c"]])
    pq.write_table(pa.table({"query": texts, "number": numbers, "other": texts}), path)
    bad, second, third = rows_of(path)
    assert isinstance(bad, BadRow)
    assert (bad.row, bad.field) == (1, "query")
    assert "not UTF-8" in bad.problem
    assert [second, third] == [(2, ("fine", "", None)), (3, ("too", "c", None))]


def test_dictionaries_of_parquet_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    column = pa.array(["a", "b", "a"]).dictionary_encode()
    pq.write_table(pa.table({"query": column, "n": pa.array([1.5, 2.0, None])}), path)
    assert rows_of(path) == [(1, ("a", "1.5", None)), (2, ("b", "2.0", None)), (3, ("a", "", None))]


def test_a_large_row_group_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = pa.array([random.Random(number).randbytes(100).hex() for number in range(100_000)])
    pq.write_table(pa.table({"query": texts}), path, use_dictionary=False, compression="none")
    del texts
    assert path.stat().st_size > 20_000_000
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for n, _ in enumerate(table_of(path).rows()) if n % 1000 == 0]
    assert len(held) == 100
    assert max(held) < 8_000_000
