from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.errors import InputError
from model_store.tables.rows import TableFile, form_of, last_row
from model_store.tables.values import BadRow, Column, Values

_COLUMNS = (Column(("query",)), Column(("n", "number"), is_id=True), Column(("absent",)))
_ROWS = [(2, ("té", "1", None)), (3, ("b", "2", None))]


def table_of(path: Path) -> TableFile:
    return TableFile(path, _COLUMNS)


def rows_of(path: Path, start_row: int = 0) -> list[tuple[int, Values] | BadRow]:
    return list(table_of(path).rows(start_row))


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
    return path


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "query\tn\r\nté\t1\r\nb\t2\r\n"),
        ("a.csv", ' query , n\n"té",1\nb,2\n'),
        ("a.txt", "query\tn\tother\nté\t1\tx\nb\t2\ty"),
        ("A.TSV.GZ", "query\tn\nté\t1\nb\t2\n"),
        ("a.csv.gz", "other,query,number\r\nx,té,1\r\ny,b,2"),
    ],
)
def test_headed_text_forms(tmp_path: Path, name: str, text: str, mark: str) -> None:
    path = written(tmp_path, name, mark + text)
    assert rows_of(path) == _ROWS
    assert last_row(path) == 3


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    content = '\ufeff{"query": "té", "n": 1}\n\n{"query": ["b ", "", "c"], "n": null}\n'
    assert rows_of(written(tmp_path, name, content)) == [(1, ("té", "1", None)), (3, ("b c", "", None))]


def test_text_that_is_gzipped_without_saying_so_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(gzip.compress("query\tn\nté\t1\nb\t2\n".encode()))
    assert rows_of(path) == _ROWS


def test_rows_that_cannot_be_read_are_said_and_the_rest_is_read(tmp_path: Path) -> None:
    first, second, third, fourth = rows_of(written(tmp_path, "a.csv", 'query,n\na,1\n"b"x,2\nc\nd,4\n'))
    assert (first, fourth) == ((2, ("a", "1", None)), (5, ("d", "4", None)))
    assert isinstance(second, BadRow)
    assert isinstance(third, BadRow)
    assert (second.row, third.row) == (3, 4)


def test_json_that_is_no_object_is_a_bad_row(tmp_path: Path) -> None:
    content = '{"query": "a"}\n[1]\n{"query"\n' + "[" * 100_000 + '\n{"n": ' + "9" * 5000 + "}\n"
    assert [isinstance(row, BadRow) for row in rows_of(written(tmp_path, "a.jsonl", content))] == [False] + [
        True
    ] * 4


@pytest.mark.parametrize(
    ("name", "header"),
    [("a.tsv", "query\tn\tquery"), ("a.csv", "n,query, query"), ("a.tsv.gz", "query\tn\tn\tnumber")],
)
def test_a_wanted_column_that_is_there_twice_is_refused(tmp_path: Path, name: str, header: str) -> None:
    with pytest.raises(InputError, match=r"row 1, field '(query|n)': the header names this column twice"):
        table_of(written(tmp_path, name, f"{header}\n"))


def test_parquet_and_json_name_a_column_once_too(tmp_path: Path) -> None:
    arrays = [pa.array(["a"]), pa.array(["b"])]
    pq.write_table(pa.Table.from_arrays(arrays, names=["query", "query"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="field 'query': the header names this column twice"):
        table_of(tmp_path / "a.parquet")
    path = written(tmp_path, "a.jsonl", '{"query": "a", "n": 1, "query": "b"}\n{"x": 1, "x": 2, "query": "c"}\n')
    bad, good = rows_of(path)
    assert isinstance(bad, BadRow)
    assert (bad.row, bad.field) == (1, "query")
    assert good == (2, ("c", None, None))


def test_columns_that_nobody_wants_may_be_there_twice(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, "a.tsv", "query\tx\tx\tn\t\t\na\t1\t2\t3\t\t\n")) == [(2, ("a", "3", None))]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", b"query\tn\nfine\t1\nt\xe9\t1\n"),
        ("a.csv", b'query,n\nfine,1\n"t\xe9",1\n'),
        ("a.jsonl", b'{"query": "x"}\n{"query": "fine"}\n{"query": "t\xe9"}\n'),
    ],
)
def test_bytes_that_are_not_utf8_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    bad = rows_of(written(tmp_path, name, content))[-1]
    assert isinstance(bad, BadRow)
    assert (bad.row, bad.field) == (3, "query")
    assert "byte 0xe9 is not UTF-8" in bad.problem


def test_bytes_that_are_not_utf8_in_other_columns_do_not_matter(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, "a.tsv", b"query\tx\na\tt\xe9\n")) == [(2, ("a", None, None))]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.tsv", "query\tn\n".encode("utf-16"), "row 1: the file is UTF-16"),
        ("a.csv", "query,n\n".encode("utf-32"), "row 1: the file is UTF-32"),
        ("a.csv", "query,n\n".encode("utf-16-le"), "zero bytes"),
        ("a.csv", b"PK\x03\x04rest", "a ZIP archive or an Excel file"),
        ("a.tsv", b"PAR1rest", "a Parquet file"),
        ("a.tsv", b"\xff\xe9\tn\n", "row 1: byte 0xff is not UTF-8"),
        ("a.csv", b'query,"n\n', "row 1: no valid CSV"),
        ("a.tsv", b"", "the file is empty"),
        ("a.csv", b"\n\n", "the file is empty"),
        ("a.parquet", b"PAR1 nothing of the kind", r"a\.parquet, row 1: no readable Parquet file"),
        ("a.parquet", b"", r"a\.parquet, row 1: no readable Parquet file"),
        ("a.xlsx", b"", r"a\.xlsx: unknown kind of file; use \.tsv"),
        ("a", b"", "unknown kind of file"),
        ("a.parquet.gz", b"", "unknown kind of file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        table_of(written(tmp_path, name, content))


def test_pipes_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tsv")
    (tmp_path / "folder.csv").mkdir()
    for name, problem in (
        ("pipe.tsv", "no regular file"),
        ("folder.csv", "a folder"),
        ("no.tsv", "cannot be read"),
    ):
        with pytest.raises(InputError, match=problem):
            table_of(tmp_path / name)


def test_a_file_that_is_cut_off_names_the_row_reached(tmp_path: Path) -> None:
    whole = gzip.compress(b"query\n" + b"".join(b"%d\n" % (number**5) for number in range(20_000)))
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"damaged or cut off .* copy the file again") as caught:
        rows_of(path)
    assert caught.value.row is not None
    assert caught.value.row > 1


@pytest.mark.parametrize(
    ("name", "content", "row"),
    [
        ("a.tsv", "query\tn\ra\t1\rb\t2\r", 1),
        ("a.csv", "query,n\ra,1\rb,2", 1),
        ("a.tsv.gz", "query\tn\r\na\t1\r\nb\t2\rc\t3\rd\t4\r", 3),
        ("a.csv", "query,n\na,1\nb,2\rc,3\r", 3),
        ("a.jsonl", '{"query": "a"}\r{"query": "b"}\r', 1),
        ("a.jsonl", '{"query": "a"}\r\n{"query": "b"}\r{"query": "c"}\r', 2),
    ],
)
def test_line_ends_of_cr_alone_are_refused(tmp_path: Path, name: str, content: str, row: int) -> None:
    with pytest.raises(InputError, match=rf"row {row}: line ends are CR"):
        rows_of(written(tmp_path, name, content))


def test_a_carriage_return_within_a_field_is_kept(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, "a.csv", 'query,n\r\n"a\rb",1\r\n')) == [(2, ("a\rb", "1", None))]
    assert rows_of(written(tmp_path, "a.tsv", "query\tn\na\rb\t1\n")) == [(2, ("a\rb", "1", None))]


_GOOD = "".join(f"lamp,{number}\n" for number in range(50))
_BEHIND = "".join(f"sofa,{number}\n" for number in range(2000))


@pytest.mark.parametrize(
    "behind",
    [
        _BEHIND,
        _BEHIND + 'a 24" screen,7\nmore,8\n',
        _BEHIND + '"quoted, fine",7\nmore,8\n',
        _BEHIND + 'ends with an inch",7\nmore,8\n',
        _BEHIND + "one field\n" + _BEHIND + 'ends with an inch",7\nmore,8\n',
        "cut off",
        "",
        'sofa,1\n"next, quoted",2\n',
    ],
)
def test_a_quotation_mark_that_is_not_closed_is_named(tmp_path: Path, behind: str) -> None:
    path = written(tmp_path, "a.csv", f'query,n\n{_GOOD}"24 inch,7\n{behind}')
    with pytest.raises(InputError, match=r"a\.csv, row 52: no valid CSV .*not closed"):
        rows_of(path)


def test_a_text_of_many_lines_is_a_text(tmp_path: Path) -> None:
    text = "Features:\n- bright\n- red, green, blue\n\nIn the box: lamp, cable\nTwo years of warranty"
    path = written(tmp_path, "a.csv", f'query,n\n"{text}",1\nb,2\n')
    assert rows_of(path) == [(2, (text, "1", None)), (3, ("b", "2", None))]


def test_a_row_within_a_field_is_a_bad_row(tmp_path: Path) -> None:
    # The mark is closed by the one of the next row but one, so that a row disappears.
    path = written(tmp_path, "a.csv", 'query,n\na,1\n"24 inch,2\nb,3\n30 inch",4\nc,5\n')
    good, bad, other = rows_of(path)
    assert (good, other) == ((2, ("a", "1", None)), (4, ("c", "5", None)))
    assert isinstance(bad, BadRow)


_FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=20)


@settings(deadline=None)
@given(st.lists(st.tuples(_FIELD, _FIELD), min_size=1, max_size=8))
def test_whatever_csv_can_write_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, rows: Sequence[tuple[str, str]]
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("query", "n"), *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    for record, (number, row) in zip(rows_of(path), enumerate(rows, start=2), strict=True):
        if isinstance(record, BadRow):
            assert "a row is within a field" in record.problem
        else:
            assert record == (number, (*row, None))


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters='\0\r\n",'))] * 2), min_size=5),
    st.data(),
)
def test_no_row_disappears_behind_a_quotation_mark(
    tmp_path_factory: pytest.TempPathFactory, rows: Sequence[tuple[str, str]], data: st.DataObject
) -> None:
    opened = data.draw(st.integers(0, len(rows) - 1))
    lines = [
        f'"{query},{number}' if place == opened else f"{query}x,{number}"
        for place, (query, number) in enumerate(rows)
    ]
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text("\n".join(["query,n", *lines]), encoding="utf-8")
    with pytest.raises(InputError, match=f"row {opened + 2}: no valid CSV"):
        rows_of(path)


@settings(deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["query", "n", "x"]), st.text() | st.integers() | st.none()), max_size=5
    )
)
def test_whatever_json_can_write_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    texts = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    expected = [(n, (row.get("query"), row.get("n"), None)) for n, row in enumerate(texts, start=1)]
    assert rows_of(path) == expected


@pytest.mark.parametrize("name", ["a.tsv", "a.csv.gz", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("change", ["shorter", "longer", "touched", "replaced"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, name: str, change: str) -> None:
    path = tmp_path / name
    count = 30_000

    def write(target: Path, count: int) -> None:
        texts = [f"query {number**3}" for number in range(count)]
        if name == "a.parquet":
            pq.write_table(pa.table({"query": texts, "n": range(count)}), target, row_group_size=5000)
        elif name == "a.jsonl":
            written(target.parent, target.name, "".join(f'{{"query": "{text}", "n": 1}}\n' for text in texts))
        else:
            comma = "," if "csv" in name else "\t"
            lines = [f"query{comma}n", *(f"{text}{comma}1" for text in texts)]
            written(target.parent, target.name, "\n".join(lines) + "\n")

    write(path, count)
    table = table_of(path)
    rows = table.rows()
    next(rows)
    if change == "touched":
        os.utime(path, ns=(0, 1))
    elif change == "replaced":
        write(path, count - 1)
    else:
        write(path, count // 2 if change == "shorter" else count * 2)
    with pytest.raises(InputError, match="the file changed while it was read"):
        list(rows)
    with pytest.raises(InputError, match="the file changed while it was read"):
        list(table.rows())
    with pytest.raises(InputError, match="the file changed while it was read"):
        table.check_unchanged()


def test_the_position_reaches_the_size(tmp_path: Path) -> None:
    for name in ("a.tsv", "a.csv.gz", "a.parquet"):
        path = tmp_path / name
        if name == "a.parquet":
            pq.write_table(pa.table({"query": ["a", "b"]}), path)
        else:
            written(tmp_path, name, "query\na\nb\n")
        table = table_of(path)
        list(table.rows())
        assert table.position == table.size == path.stat().st_size


def test_lines_before_the_row_are_not_decoded_into_fields(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", b"\xff{broken\n" * 30_000 + b'{"query": "a"}\n')
    table = table_of(path)
    assert list(table.rows(30_000)) == [(30_001, ("a", None, None))]
    assert table.position == table.size


def test_a_line_may_be_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", f"query\tn\n{'x' * 200_000}\t1\nb\t2")
    assert rows_of(path) == [(2, ("x" * 200_000, "1", None)), (3, ("b", "2", None))]


def test_line_separators_within_a_text_are_no_line_ends(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "query\tn\na\u2028b\x0bc\x85d\t1\n")
    assert rows_of(path) == [(2, ("a\u2028b\x0bc\x85d", "1", None))]


def test_what_looks_quoted_or_like_a_float_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    quoted = written(tmp_path, "a.tsv", "query\tn\n" + '"a b"\t1\n' * 9)
    floats = written(tmp_path, "b.csv", "query,n\n" + "a,12345.0\n" * 9)
    fine = written(tmp_path, "c.tsv", "query\tn\n" + '"a" or "b\t1.5\n' * 9)
    with caplog.at_level(logging.WARNING):
        assert rows_of(quoted)[0] == (2, ('"a b"', "1", None))
        assert rows_of(floats)[0] == (2, ("a", "12345.0", None))
        rows_of(fine)
    first, second = (record.getMessage() for record in caplog.records)
    assert "a.tsv, field 'query': the fields look quoted" in first
    assert "b.csv, field 'n': the ids look like whole numbers that were written as floats" in second


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.TXT", ".txt"), ("a.csv.gz", ".csv"), ("a.gz", None), ("a.parquet.gz", None), ("csv", None)],
)
def test_the_form_follows_the_name(name: str, form: str | None) -> None:
    assert form_of(Path(name)) == form
