"""Rows of the text forms: TSV, CSV and JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter

from service.fill.bad_row import BadRow
from service.fill.line_blocks import NumberedLines

ABSENT = -1
"""The place of a column that a file does not have; its value is None in every row."""

Values = tuple[str | None, ...]
Rows = Iterator[tuple[int, Values] | BadRow]

_LONGEST_FIELD = 10_000_000
_Fields = list[str | None]


def places_of(header: Sequence[str], names: Sequence[tuple[str, ...]]) -> list[int]:
    """Where each wanted column stands, under the first of its names that the header has."""
    by_name = {name: place for place, name in enumerate(header)}
    return [next((by_name[name] for name in others if name in by_name), ABSENT) for others in names]


def tsv_rows(blocks: Iterable[NumberedLines], header: Sequence[str], places: Sequence[int]) -> Rows:
    """Rows of tab-separated fields without quoting; empty lines are no rows."""
    width, chosen = len(header), _chosen(places)
    for first, lines in blocks:
        for row, line in enumerate(lines, first):
            stripped = line.rstrip("\r")
            if not stripped:
                continue
            fields: _Fields = [*stripped.split("\t"), None]
            yield (row, chosen(fields)) if len(fields) == width + 1 else _wrong_width(row, fields, width)


def csv_rows(
    blocks: Iterable[NumberedLines], header: Sequence[str], places: Sequence[int], start_row: int
) -> Rows:
    """Rows behind row number `start_row`; a record with quoted line ends is one row, so all lines are needed."""
    width, chosen = len(header), _chosen(places)
    for record in csv_records(f"{line}\n" for _, lines in blocks for line in lines):
        row = record.row if isinstance(record, BadRow) else record[0]
        if row <= start_row:
            continue
        if isinstance(record, BadRow):
            yield record
            continue
        fields: _Fields = [*record[1], None]
        yield (row, chosen(fields)) if len(fields) == width + 1 else _wrong_width(row, fields, width)


def csv_records(lines: Iterable[str]) -> Iterator[tuple[int, list[str]] | BadRow]:
    """Numbered records, the header among them; empty ones are counted and left out."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    reader = csv.reader(lines, strict=True)
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


def json_rows(blocks: Iterable[NumberedLines], names: Sequence[tuple[str, ...]]) -> Rows:
    """Rows of one JSON object a line; blank lines are no rows."""
    for first, lines in blocks:
        for row, line in enumerate(lines, first):
            if line and not line.isspace():
                yield _json_row(row, line, names)


def text_of(value: object) -> str:
    """A value of another type as text: null is "", a list its items with spaces between."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(text_of, value))
    return str(value)


def _json_row(row: int, line: str, names: Sequence[tuple[str, ...]]) -> tuple[int, Values] | BadRow:
    # ValueError also covers numbers of more digits than Python converts.
    try:
        value = json.loads(line)
        if not isinstance(value, dict):
            return BadRow(row, "a JSON value that is no object; write one object a line")
        return row, tuple([_named(value, others) for others in names])
    except (ValueError, RecursionError) as error:
        return BadRow(row, f"no valid JSON ({error}); write one object a line")


def _named(value: dict[str, object], names: tuple[str, ...]) -> str | None:
    for name in names:
        if name in value:
            return text_of(value[name])
    return None


def _wrong_width(row: int, fields: _Fields, width: int) -> BadRow:
    return BadRow(row, f"{len(fields) - 1} fields where the header has {width}")


def _chosen(places: Sequence[int]) -> Callable[[_Fields], Values]:
    """Takes the fields at these places; the last of all fields is None, for absent columns."""
    if len(places) == 1:
        return lambda fields: (fields[places[0]],)
    return itemgetter(*places)
