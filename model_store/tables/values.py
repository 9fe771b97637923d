"""What stands in a cell, as text: one rule for JSON lines and Parquet; and a row that cannot be used."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from model_store.text import has_surrogate, joined_texts

Values = tuple[str | None, ...]
"""The texts of the wanted columns; None where the file or the row does not have one."""

WHOLE_BELOW = 2.0**53
"""Up to here a double tells all whole numbers apart."""

_ESCAPED = 0xDC00


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: its number, what is wrong, and in which column."""

    row: int
    problem: str
    field: str | None = None


Rows = Iterator[tuple[int, Values] | BadRow]


@dataclass(frozen=True, slots=True)
class Column:
    """A wanted column.

    Args:
        names: what it may be called; the first name that the file (of JSON lines: the row) has counts.
        is_id: a number in it must be whole: `12345.0` is `12345`, and `1.5` names nothing.
    """

    names: tuple[str, ...]
    is_id: bool = False

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.names[0] if self.names else ""

    def text(self, value: object, whole_below: float = WHOLE_BELOW) -> str:
        """The text of a value, as `text_of` gives it.

        Raises:
            ValueError: as `text_of`; or, where ids are wanted, a number that is not surely whole.
        """
        text = text_of(value, whole_below)
        if self.is_id and isinstance(value, float | Decimal) and text and not text.lstrip("-").isdigit():
            raise ValueError(f"{text} is no id: write ids as texts or whole numbers")
        return text


def text_of(value: object, whole_below: float = WHOLE_BELOW) -> str:
    """A value as text.

    Null and NaN are "", truth values `true` and `false`, whole numbers have no decimal point, a list is its texts
    with spaces between, an object is JSON.

    Raises:
        ValueError: infinite, or bytes that are not UTF-8.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value, whole_below)
    if isinstance(value, list | tuple):
        return joined_texts(text_of(item, whole_below) for item in value)
    if isinstance(value, dict):
        return json.dumps(_without_nan(value), ensure_ascii=False, default=str)
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, Decimal):
        return f"{value:f}" if value % 1 else f"{value:.0f}"
    return str(value)


def _number(value: float, whole_below: float) -> str:
    if math.isnan(value):
        return ""
    if math.isinf(value):
        raise ValueError("the number is infinite")
    return str(int(value)) if value.is_integer() and abs(value) < whole_below else repr(value)


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def in_utf8(record: tuple[int, Values] | BadRow, names: Sequence[str]) -> tuple[int, Values] | BadRow:
    """The record, or a bad row if a value of it was not UTF-8 in the file; `names` are those of the values."""
    if isinstance(record, BadRow):
        return record
    for name, value in zip(names, record[1], strict=True):
        if value and (problem := encoding_problem(value)):
            return BadRow(record[0], problem, name)
    return record


def encoding_problem(text: str) -> str | None:
    """Which byte of a text that was read with surrogates for such bytes is not UTF-8; None if all are."""
    found = has_surrogate(text)
    if found is None:
        return None
    byte = ord(found[0]) - _ESCAPED
    return f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8, in one encoding throughout"
