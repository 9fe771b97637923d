"""Rows of the text forms: TSV, CSV and JSON lines.

What cannot be told apart row by row (line ends of CR alone, a quotation mark that is never closed) is an error of
the file, as any number of rows may be hidden in what looks like one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter

from model_store.errors import InputError
from model_store.tables.lines import NumberedLines
from model_store.tables.values import BadRow, Column, Rows, Values, in_utf8

ABSENT = -1
"""The place of a column that a file does not have; its value is None in every row."""

_LONGEST_FIELD = 10_000_000
_HIDDEN_ROWS = 3
"""So many lines within quoted fields that look like rows are rows."""

_CARRIAGE_RETURNS = "line ends are CR alone, here or from here on; save the file with LF or CRLF"
_UNCLOSED = (
    "a quotation mark opens a field here that is not closed where a row ends, so the rows that follow cannot be "
    "told apart; put the field between quotes and double the quotes in it"
)
_Fields = list[str | None]
_NO_VALID_CSV = "put a field that holds commas, quotes or line ends between quotes, and double the quotes in it"


def check_header_line(line: str, source: str) -> None:
    """Refuse a first line that is the whole file.

    Raises:
        InputError: line ends are CR alone.
    """
    if "\r" in line.rstrip("\r"):
        raise InputError(_CARRIAGE_RETURNS, source=source, row=1)


def tsv_rows(
    blocks: Iterable[NumberedLines], width: int, places: Sequence[int], names: Sequence[str], source: str
) -> Rows:
    """Rows of tab-separated fields without quoting; empty lines are no rows."""
    chosen = _chosen(places)
    for first, lines, is_utf8 in blocks:
        for row, line in enumerate(lines, first):
            stripped = line.rstrip("\r")
            if not stripped:
                continue
            fields: _Fields = [*stripped.split("\t"), None]
            if len(fields) != width + 1:
                if "\r" in stripped:
                    raise InputError(_CARRIAGE_RETURNS, source=source, row=row)
                yield _wrong_width(row, len(fields) - 1, width)
            elif is_utf8:
                yield row, chosen(fields)
            else:
                yield in_utf8((row, chosen(fields)), names)


class _CsvLines:
    """The lines as `csv.reader` takes them, and what was found in them."""

    def __init__(self, blocks: Iterable[NumberedLines]) -> None:
        self._blocks = blocks
        self.are_utf8 = True
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        for _, lines, is_utf8 in self._blocks:
            self.are_utf8 = self.are_utf8 and is_utf8
            for line in lines:
                yield f"{line}\n"
        self.ended = True


def csv_rows(
    blocks: Iterable[NumberedLines],
    width: int,
    places: Sequence[int],
    names: Sequence[str],
    source: str,
    start_row: int,
) -> Rows:
    """Rows behind row number `start_row`; a record with quoted line ends is one row, so all lines are needed."""
    chosen, lines = _chosen(places), _CsvLines(blocks)
    for record in _csv_records(lines, width, source):
        if isinstance(record, BadRow):
            if record.row > start_row:
                yield record
            continue
        row, fields = record
        if row <= start_row:
            continue
        if len(fields) != width:
            yield _wrong_width(row, len(fields), width)
        elif lines.are_utf8:
            yield row, chosen([*fields, None])
        else:
            yield in_utf8((row, chosen([*fields, None])), names)


def _csv_records(lines: _CsvLines, width: int, source: str) -> Iterator[tuple[int, list[str]] | BadRow]:
    """Numbered records, the header among them; empty ones are counted and left out."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    reader = csv.reader(lines, strict=True)
    row = line = 0
    while True:
        row += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if str(error).startswith("new-line"):
                raise InputError(_CARRIAGE_RETURNS, source=source, row=row) from error
            if reader.line_num > line + 1 or lines.ended:
                raise InputError(f"no valid CSV ({error}): {_UNCLOSED}", source=source, row=row) from error
            yield BadRow(row, f"no valid CSV ({error}); {_NO_VALID_CSV}")
        else:
            if reader.line_num > line + 1 and (hidden := _hidden_rows(fields, width)):
                if hidden >= _HIDDEN_ROWS:
                    problem = f"no valid CSV ({hidden} rows or more are in one field): {_UNCLOSED}"
                    raise InputError(problem, source=source, row=row)
                yield BadRow(row, f"no valid CSV (a row is within a field); {_NO_VALID_CSV}")
            elif fields:
                yield row, fields
        line = reader.line_num


def _hidden_rows(fields: Sequence[str], width: int) -> int:
    """How many lines within fields look like rows of the table, where most lines of a field do."""
    found = 0
    for field in fields if width > 1 else ():
        within = [line for line in field.split("\n")[1:-1] if line.strip("\r")]
        rows = sum(_looks_like_a_row(line, width) for line in within)
        if 2 * rows > len(within):
            found += rows
    return found


def _looks_like_a_row(line: str, width: int) -> bool:
    return len(next(csv.reader([line.rstrip("\r")]))) == width


def json_rows(blocks: Iterable[NumberedLines], columns: Sequence[Column], source: str) -> Rows:
    """Rows of one JSON object a line; blank lines are no rows."""
    names = [column.name for column in columns]
    wanted = frozenset(name for column in columns for name in column.names)
    decode = json.JSONDecoder(object_pairs_hook=partial(_distinct, wanted)).decode
    for first, lines, is_utf8 in blocks:
        for row, line in enumerate(lines, first):
            if line and not line.isspace():
                record = _json_row(row, line, decode, columns, source)
                yield record if is_utf8 else in_utf8(record, names)


def _json_row(
    row: int, line: str, decode: Callable[[str], object], columns: Sequence[Column], source: str
) -> tuple[int, Values] | BadRow:
    try:
        found = decode(line)
    except _RepeatedNameError as error:
        return BadRow(row, "the object has this name twice; leave one out", error.args[0])
    # ValueError also covers numbers of more digits than Python converts.
    except (ValueError, RecursionError) as error:
        if "\r" in line.strip() and str(error).startswith("Extra data"):
            raise InputError(_CARRIAGE_RETURNS, source=source, row=row) from error
        return BadRow(row, f"no valid JSON ({error}); write one object a line")
    if not isinstance(found, dict):
        return BadRow(row, "a JSON value that is no object; write one object a line")
    name = ""
    try:
        values: list[str | None] = []
        for column in columns:
            for name in column.names:
                if name in found:
                    value = found[name]
                    values.append(value if isinstance(value, str) else column.text(value))
                    break
            else:
                values.append(None)
    except ValueError as error:
        return BadRow(row, f"the value cannot be written as text ({error})", name)
    return row, tuple(values)


class _RepeatedNameError(ValueError):
    """An object names something twice; the argument is the name."""


def _distinct(wanted: Collection[str], pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        if twice := [name for name in names if name in wanted and names.count(name) > 1]:
            raise _RepeatedNameError(twice[0])
    return found


def _wrong_width(row: int, fields: int, width: int) -> BadRow:
    return BadRow(row, f"{fields} fields where the header has {width}; correct the row")


def _chosen(places: Sequence[int]) -> Callable[[_Fields], Values]:
    """Takes the fields at these places; the last of all fields is None, for absent columns."""
    if len(places) == 1:
        return lambda fields: (fields[places[0]],)
    return itemgetter(*places)
