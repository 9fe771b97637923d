"""A row of a table file that is not used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BadRow:
    """Its 1-based number, the header of a text file counting as row 1, and what is wrong with it."""

    row: int
    problem: str
    field: str | None = None
