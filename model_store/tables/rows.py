"""Rows of a table file as dictionaries of texts, one at a time: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from model_store.errors import InputError
from model_store.tables.lines import iter_lines
from model_store.tables.parquet import iter_batches

Row = tuple[int, dict[str, str]]

_MAX_FIELD_CHARACTERS = 10_000_000
_JsonValue = str | int | float | bool | list["_JsonValue"] | dict[str, "_JsonValue"] | None


def iter_rows(path: Path) -> Iterator[Row]:
    """Yield (row number, texts by column) of a table file, without holding more than a batch of it.

    The form follows the name: `.csv`, `.tsv` (or `.txt`), `.jsonl` (or `.ndjson`), each also with `.gz`, and
    `.parquet`. Row numbers are 1-based; a header counts as row 1. A TSV has no quoting: a quotation mark
    is a character like any other. Numbers and truth values become texts (`1`, `true`), nothing becomes "",
    a list of texts is joined by spaces.

    Raises:
        InputError: an unknown form, a file that is damaged, not UTF-8 or ragged; names file and row.
    """
    return _reader_of(path)(path)


def _reader_of(path: Path) -> Callable[[Path], Iterator[Row]]:
    form = Path(path.name.removesuffix(".gz")).suffix.lower()
    reader = _READERS.get(form)
    if reader is None or (path.suffix == ".gz" and reader is _parquet_rows):
        raise InputError(
            f"unknown kind of file; use {', '.join(_READERS)}, the text forms also with .gz", source=str(path)
        )
    return reader


def _csv_rows(path: Path) -> Iterator[Row]:
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_FIELD_CHARACTERS))
    records = csv.reader((f"{line}\n" for _, line in iter_lines(path)), strict=True)
    return _headed_rows(_numbered_records(records, path), path)


def _numbered_records(records: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    row = 0
    try:
        for row, fields in enumerate(records, start=1):
            if fields:
                yield row, fields
    except csv.Error as error:
        raise InputError(
            f"no valid CSV ({error}); put a field that holds commas, quotes or line ends between quotes, "
            "and double the quotes in it",
            source=str(path),
            row=row + 1,
        ) from error


def _tsv_rows(path: Path) -> Iterator[Row]:
    return _headed_rows(((row, line.split("\t")) for row, line in iter_lines(path) if line), path)


def _headed_rows(records: Iterator[tuple[int, list[str]]], path: Path) -> Iterator[Row]:
    header: list[str] = []
    for row, fields in records:
        if not header:
            header = _checked_header(fields, path)
        elif len(fields) != len(header):
            raise InputError(
                f"{len(fields)} fields where the header has {len(header)}; correct the row",
                source=str(path),
                row=row,
            )
        else:
            yield row, dict(zip(header, fields, strict=True))


def _checked_header(fields: list[str], path: Path) -> list[str]:
    header = [name.strip() for name in fields]
    for name in header:
        if header.count(name) > 1:
            raise InputError(
                "the header names this column twice; rename one", source=str(path), row=1, field=name
            )
    return header


def _json_rows(path: Path) -> Iterator[Row]:
    for row, line in iter_lines(path):
        if line.strip():
            yield row, {name: _text_of(value) for name, value in _json_object(line, path, row).items()}


def _json_object(line: str, path: Path, row: int) -> dict[str, _JsonValue]:
    try:
        value: _JsonValue = json.loads(line)
    # ValueError also covers numbers of more digits than Python converts.
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"no valid JSON ({error}); write one object a line", source=str(path), row=row
        ) from error
    if not isinstance(value, dict):
        raise InputError("a JSON value that is no object; write one object a line", source=str(path), row=row)
    return value


def _parquet_rows(path: Path) -> Iterator[Row]:
    for first, batch in iter_batches(path):
        for index in range(batch.num_rows):
            yield first + index, _parquet_record(batch, index, path, first + index)


def _parquet_record(batch: pa.RecordBatch, index: int, path: Path, row: int) -> dict[str, str]:
    name = ""
    try:
        record = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            record[name] = _text_of(column[index].as_py())
    except UnicodeDecodeError as error:
        raise InputError(
            f"the text is not UTF-8 ({error.reason} at byte {error.start}); write it from decoded text",
            source=str(path),
            row=row,
            field=name,
        ) from error
    return record


def _text_of(value: _JsonValue | bytes) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(_text_of(part) for part in value)
    if isinstance(value, bool | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".tsv": _tsv_rows,
    ".txt": _tsv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".parquet": _parquet_rows,
}
