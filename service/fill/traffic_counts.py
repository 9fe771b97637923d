"""How often each query was asked, summed while a table of counts is read."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_store.errors import InputError
from model_store.query_normalisation import normalised_query
from model_store.text import checked_text
from service.fill.bad_row import BadRow
from service.fill.candidates.reading import COLUMNS
from service.fill.query_digests import DIGEST_TYPE, Digests, query_digest
from service.fill.table_rows import TableFile

_NAMES = {"query": COLUMNS["query"], "count": ("count",), "marketplace": COLUMNS["marketplace"]}
_REQUIRED = ("query", "count")
_COUNT = re.compile("[0-9]{1,15}", re.ASCII)
_LARGEST_SUM = 2**63 - 1
_LEAST_MERGED = 1 << 17


@dataclass(frozen=True, slots=True)
class TrafficFile:
    """A table with the columns query and count, in any form that candidates may have.

    Rows of other marketplaces do not count; those that name none belong to this one.
    """

    path: Path
    marketplace: str

    def rows(self) -> Iterator[tuple[str, int]]:
        """Normalised query and count of each row; a query may come several times.

        Raises:
            InputError: no such file, a missing column, or a row with an empty query or without a whole number of
                at least 0; names file, row and field.
        """
        table = TableFile(self.path, tuple(_NAMES.values()))
        columns = table.columns()
        for name in () if columns is None else _REQUIRED:
            if name not in (columns or ()):
                raise InputError("there is no such column", source=str(self.path), row=1, field=name)
        for record in table.rows():
            if isinstance(record, BadRow):
                raise InputError(record.problem, source=str(self.path), row=record.row, field=record.field)
            row, (query, count, marketplace) = record
            if (marketplace or "").strip() in ("", self.marketplace):
                yield self._query(query, row), self._count(count, row)

    def _query(self, query: str | None, row: int) -> str:
        normalised = normalised_query(checked_text(query or "", field="query", source=str(self.path), row=row))
        if not normalised:
            raise InputError("nothing is left of the query", source=str(self.path), row=row, field="query")
        return normalised

    def _count(self, count: str | None, row: int) -> int:
        text = (count or "").strip()
        if not _COUNT.fullmatch(text):
            raise InputError(
                f"{text[:40]!r} is no count; write a whole number of at least 0 and at most 15 digits",
                source=str(self.path),
                row=row,
                field="count",
            )
        return int(text)


class TrafficCounts:
    """Sums by query: 24 bytes for each distinct query, and up to three times as much while parts are merged."""

    def __init__(self) -> None:
        self.total = 0
        self._digests: Digests = np.empty(0, DIGEST_TYPE)
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)
        self._new_digests = bytearray()
        self._new_counts = array("q")

    def add(self, normalised: str, count: int) -> None:
        """Add to the sum of a query."""
        self.total += count
        self._new_digests += query_digest(normalised)
        self._new_counts.append(count)
        if len(self._new_counts) >= max(_LEAST_MERGED, len(self._digests)):
            self._merge()

    def merged(self) -> tuple[Digests, NDArray[np.int64]]:
        """Distinct digests in ascending order, (n,), and their sums, (n,).

        Raises:
            InputError: all counts together are too large.
        """
        if self.total > _LARGEST_SUM:
            raise InputError("the counts together exceed 2**63 - 1; divide them", field="count")
        self._merge()
        return self._digests, self._counts

    def _merge(self) -> None:
        if not self._new_counts:
            return
        digests = np.concatenate((self._digests, np.frombuffer(bytes(self._new_digests), DIGEST_TYPE)))
        counts = np.concatenate((self._counts, np.frombuffer(self._new_counts, np.int64)))
        self._new_digests, self._new_counts = bytearray(), array("q")
        order = np.argsort(digests, kind="stable")
        digests = digests[order]
        starts = np.flatnonzero(np.concatenate(([True], digests[1:] != digests[:-1])))
        self._digests = digests[starts]
        self._counts = np.add.reduceat(counts[order], starts)
