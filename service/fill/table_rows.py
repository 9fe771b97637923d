"""Rows of a table file, streamed: TSV, CSV, JSON lines or Parquet. A row that cannot be read is a `BadRow`."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from model_store.errors import InputError

_LONGEST_FIELD = 10_000_000
_PARQUET_BATCH = 1024
_BYTE_ORDER_MARK = "\ufeff"
_PARQUET = ".parquet"
_UNREADABLE = (OSError, EOFError, zlib.error, pa.ArrowException)
_Records = Iterator["tuple[int, dict[str, str]] | BadRow"]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is not used: its 1-based number, the header counting as row 1, and what is wrong with it."""

    row: int
    problem: str
    field: str | None = None


class TableFile:
    """One file. The form follows the name: .tsv, .txt, .csv, .jsonl, .ndjson (all also .gz) or .parquet.

    A TSV has no quoting. Bytes that are not UTF-8 become lone surrogates, which the checks of texts refuse.

    Raises:
        InputError: another form, or no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        self._form = Path(path.name.removesuffix(".gz")).suffix.lower()
        if self._form not in (*_READERS, _PARQUET) or path.name.endswith(f"{_PARQUET}.gz"):
            forms = ", ".join((*_READERS, _PARQUET))
            problem = f"unknown kind of file; use {forms}, the text forms also with .gz"
            raise InputError(problem, source=str(path))
        try:
            self.size = path.stat().st_size
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", source=str(path)) from error

    def rows(self) -> _Records:
        """Yield (row number, texts by column), or a `BadRow`. `position` says how many of `size` bytes are read.

        Raises:
            InputError: the file cannot be read, is damaged or cut off; names the row reached.
        """
        row = 0
        try:
            for record in self._parquet_rows() if self._form == _PARQUET else self._text_rows():
                row = record.row if isinstance(record, BadRow) else record[0]
                yield record
        except _UNREADABLE as error:
            raise self._unreadable(error, row + 1) from error

    def columns(self) -> list[str] | None:
        """Names of the columns; None where every row names its own (JSON lines).

        Raises:
            InputError: the file cannot be read or is empty.
        """
        try:
            return self._columns()
        except StopIteration as error:
            raise InputError(
                "the file is empty; its first row names the columns", source=str(self.path)
            ) from error
        except (*_UNREADABLE, csv.Error) as error:
            raise self._unreadable(error, 1) from error

    def _columns(self) -> list[str] | None:
        if self._form == _PARQUET:
            return list(pq.read_schema(self.path).names)
        if self._form in (".jsonl", ".ndjson"):
            return None
        with self.path.open("rb") as raw:
            first = next(self._lines(raw)).rstrip("\r\n")
        fields = next(csv.reader([first])) if self._form == ".csv" else first.split("\t")
        return [name.strip() for name in fields]

    def _unreadable(self, error: Exception, row: int) -> InputError:
        return InputError(
            f"cannot be read any further ({error}); copy the file again", source=str(self.path), row=row
        )

    def _text_rows(self) -> _Records:
        with self.path.open("rb") as raw:
            yield from _READERS[self._form](self._lines(raw))

    def _lines(self, raw: IO[bytes]) -> Iterator[str]:
        source = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if self.path.suffix == ".gz" else raw
        for number, line in enumerate(source):
            self.position = raw.tell()
            text = line.decode("utf-8", "surrogateescape")
            yield text.removeprefix(_BYTE_ORDER_MARK) if number == 0 else text

    def _parquet_rows(self) -> _Records:
        with pq.ParquetFile(self.path) as file:
            row, rows = 0, max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
                for place in range(batch.num_rows):
                    row += 1
                    yield _parquet_record(batch, place, row)
                self.position = self.size * row // rows


def _tsv_rows(lines: Iterable[str]) -> _Records:
    stripped = (line.rstrip("\r\n") for line in lines)
    return _headed((row, line.split("\t")) for row, line in enumerate(stripped, start=1) if line)


def _csv_rows(lines: Iterable[str]) -> _Records:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    return _headed(_csv_records(csv.reader(lines, strict=True)))


def _csv_records(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]] | BadRow]:
    row = 0
    while True:
        row += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(row, f"no valid CSV ({error}); quote fields that hold commas, quotes or line ends")
            continue
        if fields:
            yield row, fields


def _headed(records: Iterable[tuple[int, Sequence[str]] | BadRow]) -> _Records:
    header: list[str] | None = None
    for record in records:
        if isinstance(record, BadRow):
            yield record
        elif header is None:
            header = [name.strip() for name in record[1]]
        elif len(record[1]) != len(header):
            yield BadRow(record[0], f"{len(record[1])} fields where the header has {len(header)}")
        else:
            yield record[0], dict(zip(header, record[1], strict=True))


def _json_rows(lines: Iterable[str]) -> _Records:
    for row, line in enumerate(lines, start=1):
        if line.strip():
            yield _json_record(row, line)


def _json_record(row: int, line: str) -> tuple[int, dict[str, str]] | BadRow:
    try:
        value = json.loads(line)
    # ValueError also covers numbers of more digits than Python converts.
    except (ValueError, RecursionError) as error:
        return BadRow(row, f"no valid JSON ({error}); write one object a line")
    if not isinstance(value, dict):
        return BadRow(row, "a JSON value that is no object; write one object a line")
    return row, {name: _text(item) for name, item in value.items()}


def _parquet_record(batch: pa.RecordBatch, place: int, row: int) -> tuple[int, dict[str, str]] | BadRow:
    record: dict[str, str] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            record[name] = _text(column[place].as_py())
        except UnicodeDecodeError as error:
            return BadRow(row, f"the text is not UTF-8 ({error.reason} at byte {error.start})", name)
    return row, record


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return str(value)


_READERS: dict[str, Callable[[Iterable[str]], _Records]] = {
    ".tsv": _tsv_rows,
    ".txt": _tsv_rows,
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
}
