from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_store.errors import InputError
from service.fill.table_rows import BadRow, TableFile

_ROWS = [(2, {"query": "té", "n": "1"}), (3, {"query": "b", "n": "2"})]


def rows_of(path: Path) -> list[tuple[int, dict[str, str]] | BadRow]:
    return list(TableFile(path).rows())


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
    assert TableFile(path).columns() == ["query", "n"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = '{"query": "té", "n": 1}\n\n{"query": ["b", "c"], "n": null}\n'.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert rows_of(path) == [(1, {"query": "té", "n": "1"}), (3, {"query": "b c", "n": ""})]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"query": ["té", None], "n": [1, 2]}), path)
    assert rows_of(path) == [(1, {"query": "té", "n": "1"}), (2, {"query": "", "n": "2"})]


def test_rows_that_cannot_be_read_are_said_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('query,n\na,1\n"b"x,2\nc\nd,4\n')
    first, second, third, fourth = rows_of(path)
    assert (first, fourth) == ((2, {"query": "a", "n": "1"}), (5, {"query": "d", "n": "4"}))
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
    assert rows_of(path) == [(2, {"query": "t\udce9", "n": "1"})]


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
        TableFile(path).columns()


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.parquet.gz"])
def test_an_unknown_form_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="unknown kind of file"):
        TableFile(tmp_path / name)


def test_an_empty_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        TableFile(tmp_path / "a.tsv").columns()
    with pytest.raises(InputError, match="cannot be read"):
        TableFile(tmp_path / "b.tsv")


def test_the_position_reaches_the_size(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("query\na\nb\n")
    table = TableFile(path)
    list(table.rows())
    assert table.position == table.size
