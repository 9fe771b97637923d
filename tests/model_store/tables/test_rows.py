from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_store.errors import InputError
from model_store.tables.rows import iter_rows


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", 'query,title\r\nred,"a, ""b"""\r\n\r\n青い,c\r\n'),
        ("t.tsv", 'query\ttitle\nred\ta, "b"\n\n青い\tc'),
        ("t.jsonl", '{"query": "red", "title": "a, \\"b\\""}\n\n\n{"query": "青い", "title": "c"}\n'),
    ],
)
def test_text_forms_with_and_without_a_mark(tmp_path: Path, mark: bytes, name: str, content: str) -> None:
    rows = list(iter_rows(_file(tmp_path, name, mark + content.encode())))
    assert rows[0][1] == {"query": "red", "title": 'a, "b"'}
    assert rows[1] == (4, {"query": "青い", "title": "c"})


def test_gzipped_text_is_the_same(tmp_path: Path) -> None:
    content = gzip.compress(b"query,title\nred,shoe\n")
    assert list(iter_rows(_file(tmp_path, "t.csv.gz", content))) == [(2, {"query": "red", "title": "shoe"})]


def test_parquet_numbers_its_rows_from_one(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"query": ["red", None], "label": [1, 0], "points": [["a", "b"], []]}), path)
    assert list(iter_rows(path)) == [
        (1, {"query": "red", "label": "1", "points": "a b"}),
        (2, {"query": "", "label": "0", "points": ""}),
    ]


def test_json_values_become_texts(tmp_path: Path) -> None:
    line = b'{"a": true, "b": 1.5, "c": null, "d": ["x", "y"], "e": {"f": 1}}'
    assert next(iter_rows(_file(tmp_path, "t.jsonl", line))) == (
        1,
        {"a": "true", "b": "1.5", "c": "", "d": "x y", "e": '{"f": 1}'},
    )


def test_line_separators_of_unicode_stay_within_a_row(tmp_path: Path) -> None:
    content = "query\ttitle\nred\ta\u2028b\x85c\n".encode()
    assert next(iter_rows(_file(tmp_path, "t.tsv", content)))[1]["title"] == "a\u2028b\x85c"


def test_a_field_of_a_million_characters_is_read(tmp_path: Path) -> None:
    content = b"query,title\nred," + b"x" * 1_000_000
    assert len(next(iter_rows(_file(tmp_path, "t.csv", content)))[1]["title"]) == 1_000_000


def test_rows_are_streamed(tmp_path: Path) -> None:
    rows = iter_rows(_file(tmp_path, "t.csv", b"query,title\nred,a\nblue\n"))
    assert next(rows) == (2, {"query": "red", "title": "a"})
    with pytest.raises(InputError, match="row 3: 1 fields where the header has 2"):
        next(rows)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("t.xlsx", b"", r"t\.xlsx: unknown kind of file; use \.csv"),
        ("t.parquet.gz", b"", r"unknown kind of file"),
        ("t.csv", b"a,b\n1,2,3\n", "row 2: 3 fields where the header has 2"),
        ("t.tsv", b"a\tb\n1\t2\n1\n", "row 3: 1 fields where the header has 2"),
        ("t.csv", b"a,a\n1,2\n", "row 1, field 'a': the header names this column twice"),
        ("t.csv", b'a,b\n1,2\n"x,2\n1,2\n', "row 3: no valid CSV"),
        ("t.csv", b'a,b\n"x"y,2\n', "row 2: no valid CSV"),
        ("t.jsonl", b'{"a": 1}\n{"a": \n', "row 2: no valid JSON"),
        ("t.jsonl", b"[1]\n", "row 1: a JSON value that is no object"),
        ("t.jsonl", b"[" * 100_000, "row 1: no valid JSON"),
        ("t.jsonl", b'{"a": ' + b"9" * 5000 + b"}", "row 1: no valid JSON"),
        ("t.csv", "a,b\ngroß,2\n".encode() + "groß,2\n".encode("latin-1"), "row 3: byte 0xdf at offset 15"),
        ("t.csv", b"\xef\xbb\xbfa,b\n\xff,2\n", "row 2: byte 0xff at offset 7"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "row 1: the file is UTF-16"),
        ("t.csv", "a,b\n1,2\n".encode("utf-32"), "row 1: the file is UTF-32"),
        ("t.csv.gz", b"a,b\n1,2\n", "the gzip file is damaged"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-20], "the gzip file is damaged"),
        ("t.parquet", b"a,b\n1,2\n", "no readable Parquet file"),
    ],
)
def test_a_bad_file_is_named_with_its_row(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        list(iter_rows(_file(tmp_path, name, content)))


def test_a_parquet_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"query": pa.array([b"red", b"\xff"], pa.binary())}), path)
    with pytest.raises(InputError, match="row 2, field 'query': the text is not UTF-8"):
        list(iter_rows(path))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.csv: cannot be read"):
        list(iter_rows(tmp_path / "no.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder\.csv: cannot be read"):
        list(iter_rows(tmp_path / "folder.csv"))
