"""The one reader of tables: TSV, CSV, JSON lines or Parquet, streamed, from any row on."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from model_store.errors import InputError
from model_store.tables.lines import UNREADABLE, FileStamp, TextFile, count_lines, unreadable
from model_store.tables.parquet import parquet_names, parquet_rows
from model_store.tables.text_rows import ABSENT, check_header_line, csv_rows, json_rows, tsv_rows
from model_store.tables.values import BadRow, Column, Rows, encoding_problem

__all__ = ["FORMS", "BadRow", "Column", "TableFile", "form_of", "last_row"]

_TSV = (".tsv", ".txt")
_CSV = ".csv"
_JSON = (".jsonl", ".ndjson")
_PARQUET = ".parquet"
FORMS = (*_TSV, _CSV, *_JSON, _PARQUET)
"""What names of table files end in."""

_SAMPLED_ROWS = 100
_LEAST_SAMPLED = 5
_FLOAT_ID = re.compile(r"[0-9]+\.0")
_log = logging.getLogger(__name__)


def form_of(path: Path) -> str | None:
    """One of `FORMS` by the file's name, which for text forms may also end in .gz; None for any other name."""
    name = path.name.lower()
    form = Path(name.removesuffix(".gz")).suffix
    return form if form in FORMS and not name.endswith(f"{_PARQUET}.gz") else None


def last_row(path: Path) -> int:
    """The number of a file's last row, or of a CSV, whose rows may have several lines, a larger one.

    Nothing is parsed. Of a damaged file it is the number up to the damage, which reading it will name.
    """
    if form_of(path) != _PARQUET:
        return count_lines(path)
    try:
        return int(pq.read_metadata(path).num_rows)
    except UNREADABLE:
        return 0


def has_header(path: Path) -> bool:
    """Whether the file's first row names the columns, by its name."""
    return form_of(path) in (*_TSV, _CSV)


class TableFile:
    """One file, of which the wanted columns are read.

    The form follows the name: .tsv, .txt, .csv, .jsonl, .ndjson (all also .gz) or .parquet. A TSV has no quoting.
    Row numbers are those of lines (of a CSV: of records), the header being row 1; of Parquet of its rows. A row
    that cannot be read is a `BadRow`. Other columns are not looked at.

    Args:
        path: the file.
        columns: what is wanted.
        form: one of `FORMS`, if the name does not say it.
        stamp: how the file has to be; as it is now if None. While it is read it must not change.

    Raises:
        InputError: another form, no such file, no regular one, no header, a wanted column named twice.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[Column],
        *,
        form: str | None = None,
        stamp: FileStamp | None = None,
    ) -> None:
        self.path = path
        self._columns = columns
        self._form = form or _known_form(path)
        self._stamp = stamp or FileStamp.of(path)
        self._share_read = 0.0
        self._text = TextFile(path, self._stamp)
        self.header = self._read_header()
        self.names = [_name_of(column, self.header) for column in columns]
        if self.header is not None:
            for name in self.names:
                _refuse_repeated(name, self.header, path)
        if stamp is None:
            self._warn()
        self._text.position = 0

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._stamp.size

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return round(self._share_read * self.size) if self._form == _PARQUET else self._text.position

    def rows(self, start_row: int = 0) -> Rows:
        """Yield (row number, values of the wanted columns), or a `BadRow`, for the rows behind `start_row`.

        Raises:
            InputError: the file cannot be read to its end, its rows cannot be told apart, or it changed; names
                the row reached.
        """
        row = start_row
        self._text.position = 0
        try:
            for record in self._rows(start_row):
                row = record.row if isinstance(record, BadRow) else record[0]
                yield record
        except UNREADABLE as error:
            self.check_unchanged()
            raise unreadable(error, self.path, row + 1) from error
        except InputError:
            self.check_unchanged()
            raise

    def check_unchanged(self) -> None:
        """For who stops reading before the end.

        Raises:
            InputError: the file changed since it was first looked at.
        """
        self._stamp.check(self.path)

    def _read_header(self) -> list[str] | None:
        """Names of the columns; None where every row names its own (JSON lines)."""
        try:
            if self._form == _PARQUET:
                return parquet_names(self.path)
            if self._form in _JSON:
                return None
            return self._header_line()
        except UNREADABLE as error:
            raise unreadable(error, self.path, 1) from error

    def _header_line(self) -> list[str]:
        lines = (line for _, block, _ in self._text.lines() for line in block)
        first = next(lines, "")
        source = str(self.path)
        if not first.strip():
            raise InputError("the file is empty; its first row names the columns", source=source, row=1)
        check_header_line(first, source)
        if problem := encoding_problem(first):
            raise InputError(problem, source=source, row=1)
        if self._form != _CSV:
            return [name.strip() for name in first.rstrip("\r").split("\t")]
        try:
            return [name.strip() for name in next(csv.reader([first.rstrip("\r")], strict=True))]
        except csv.Error as error:
            raise InputError(f"no valid CSV ({error}); correct the header", source=source, row=1) from error

    def _rows(self, start_row: int) -> Rows:
        if self._form == _PARQUET:
            return self._parquet_rows(start_row)
        source = str(self.path)
        if self.header is None:
            return json_rows(self._text.lines(start_row), self._columns, source)
        places = [ABSENT if name is None else self.header.index(name) for name in self.names]
        names = [name or column.name for name, column in zip(self.names, self._columns, strict=True)]
        width = len(self.header)
        if self._form == _CSV:
            return csv_rows(self._text.lines(), width, places, names, source, max(start_row, 1))
        return tsv_rows(self._text.lines(max(start_row, 1)), width, places, names, source)

    def _parquet_rows(self, start_row: int) -> Rows:
        parts = parquet_rows(self.path, self._stamp, self._columns, self.names, start_row)
        for share, rows in parts:
            yield from rows
            self._share_read = share
        self._share_read = 1.0

    def _warn(self) -> None:
        """Say what looks odd in the first rows, and is read as it stands all the same."""
        if self._form == _PARQUET or self._form in _JSON:
            return
        try:
            sampled = [row[1] for row in islice(self._rows(1), _SAMPLED_ROWS) if not isinstance(row, BadRow)]
        except (InputError, *UNREADABLE):
            # Who reads the rows meets it too.
            return
        for place, (column, name) in enumerate(zip(self._columns, self.names, strict=True)):
            texts = [text for values in sampled if (text := values[place])]
            if len(texts) < _LEAST_SAMPLED:
                continue
            if self._form != _CSV and all(len(text) > 1 and text[0] == text[-1] == '"' for text in texts):
                _log.warning(
                    "%s, field %r: the fields look quoted, but a TSV has no quoting and the marks are kept; "
                    "leave them out, or write a CSV",
                    self.path,
                    name,
                )
            if column.is_id and all(map(_FLOAT_ID.fullmatch, texts)):
                _log.warning(
                    "%s, field %r: the ids look like whole numbers that were written as floats (%s) and are "
                    "read as they stand; write them as whole numbers",
                    self.path,
                    name,
                    texts[0],
                )


def _known_form(path: Path) -> str:
    form = form_of(path)
    if form is None:
        problem = f"unknown kind of file; use {', '.join(FORMS)}, the text forms also with .gz"
        raise InputError(problem, source=str(path))
    return form


def _name_of(column: Column, header: Sequence[str] | None) -> str | None:
    return next((name for name in column.names if name in (header or ())), None)


def _refuse_repeated(name: str | None, header: Sequence[str], path: Path) -> None:
    if name is not None and header.count(name) > 1:
        raise InputError("the header names this column twice; rename one", source=str(path), row=1, field=name)
