"""Rows of a table file, streamed: TSV, CSV, JSON lines or Parquet. A row that cannot be read is a `BadRow`."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from model_store.errors import InputError
from service.fill.bad_row import BadRow
from service.fill.line_blocks import numbered_lines, whole_lines
from service.fill.parquet_rows import batch_rows, batches_after, opened_parquet
from service.fill.text_rows import ABSENT, Rows, csv_rows, json_rows, places_of, tsv_rows

__all__ = ["FORMS", "BadRow", "TableFile", "form_of"]

_TSV = (".tsv", ".txt")
_CSV = ".csv"
_JSON = (".jsonl", ".ndjson")
_PARQUET = ".parquet"
FORMS = (*_TSV, _CSV, *_JSON, _PARQUET)
"""What names of table files end in."""

_UNREADABLE = (OSError, EOFError, zlib.error, pa.ArrowException)


def form_of(path: Path) -> str | None:
    """One of `FORMS` by the file's name, which for text forms may also end in .gz; None for any other name."""
    form = Path(path.name.removesuffix(".gz")).suffix.lower()
    return form if form in FORMS and not path.name.endswith(f"{_PARQUET}.gz") else None


class TableFile:
    """One file, of which the columns with the wanted names are read.

    The form follows the name: .tsv, .txt, .csv, .jsonl, .ndjson (all also .gz) or .parquet. A TSV has no quoting.
    Bytes that are not UTF-8 become lone surrogates, which the checks of texts refuse.

    Args:
        path: the file.
        names: for each wanted column what it may be called; the first name that the file (of JSON lines: the
            row) has counts.

    Raises:
        InputError: another form, or no such file.
    """

    def __init__(self, path: Path, names: Sequence[tuple[str, ...]]) -> None:
        self.path = path
        self.position = 0
        self._names = names
        form = form_of(path)
        if form is None:
            problem = f"unknown kind of file; use {', '.join(FORMS)}, the text forms also with .gz"
            raise InputError(problem, source=str(path))
        self._form = form
        try:
            self.size = path.stat().st_size
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", source=str(path)) from error

    def rows(self, start_row: int = 0) -> Rows:
        """Yield (row number, values of the wanted columns), or a `BadRow`, for the rows behind `start_row`.

        A value is None where the file or row does not have the column. `position` says how many of `size` bytes
        are read.

        Raises:
            InputError: the file cannot be read, is damaged or cut off; names the row reached.
        """
        header = self.columns()
        row: int | None = None
        try:
            for record in self._rows(header, start_row):
                row = record.row if isinstance(record, BadRow) else record[0]
                yield record
        except _UNREADABLE as error:
            raise self._unreadable(error, (row or start_row) + 1) from error

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
        if self._form in _JSON:
            return None
        lines = (line for _, block in numbered_lines(self._blocks(), 0) for line in block)
        first = next(lines).rstrip("\r")
        fields = next(csv.reader([first])) if self._form == _CSV else first.split("\t")
        return [name.strip() for name in fields]

    def _unreadable(self, error: Exception, row: int) -> InputError:
        return InputError(
            f"cannot be read any further ({error}); copy the file again", source=str(self.path), row=row
        )

    def _rows(self, header: list[str] | None, start_row: int) -> Rows:
        if header is None:
            return json_rows(numbered_lines(self._blocks(), start_row), self._names)
        places = places_of(header, self._names)
        if self._form == _PARQUET:
            return self._parquet_rows([None if place == ABSENT else header[place] for place in places], start_row)
        if self._form == _CSV:
            return csv_rows(numbered_lines(self._blocks(), 0), header, places, max(start_row, 1))
        return tsv_rows(numbered_lines(self._blocks(), max(start_row, 1)), header, places)

    def _blocks(self) -> Iterator[bytes]:
        with self.path.open("rb") as raw:
            for block in whole_lines(gzip.GzipFile(fileobj=raw) if self.path.suffix == ".gz" else raw):
                self.position = raw.tell()
                yield block

    def _parquet_rows(self, columns: Sequence[str | None], start_row: int) -> Rows:
        with opened_parquet(self.path) as file:
            rows = max(file.metadata.num_rows, 1)
            wanted = [name for name in columns if name is not None]
            for first, batch in batches_after(file, wanted, start_row):
                yield from batch_rows(first, batch, columns)
                self.position = self.size * (first - 1 + batch.num_rows) // rows
            self.position = self.size
