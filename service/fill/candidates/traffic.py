"""Head and torso: the most frequent queries, which together make up a share of the traffic."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from model_store.errors import InputError
from model_store.query_normalisation import NORMALISATION_VERSION, normalised_query
from model_store.tables.columns import KNOWN_NAMES
from model_store.tables.rows import TableFile
from model_store.tables.values import BadRow, Column
from model_store.text import checked_marketplace, checked_text, is_blank
from service.fill.candidates.query_log import DIGEST_TYPE, Digests, QueryDigests, query_digest
from service.fill.options import checked_coverage

_COLUMNS = (Column(KNOWN_NAMES["query"]), Column(("count",)), Column(KNOWN_NAMES["marketplace"]))
_REQUIRED = ("query", "count")
_COUNT = re.compile("[0-9]{1,15}", re.ASCII)
_LARGEST_SUM = 2**63 - 1
_LEAST_MERGED = 1 << 17


class TrafficFile:
    """A table with the columns query and count, in any form that candidates may have.

    Rows of other marketplaces do not count; those that name none belong to this one. It is read several times,
    and must not change meanwhile.

    Raises:
        InputError: no such file, or a missing column; names file and field.
    """

    def __init__(self, path: Path, marketplace: str) -> None:
        self.path = path
        self.marketplace = checked_marketplace(marketplace)
        self._table = TableFile(path, _COLUMNS)
        for name, found in zip(_REQUIRED, self._table.names, strict=False):
            if self._table.header is not None and found is None:
                raise InputError("there is no such column", source=str(path), row=1, field=name)

    def rows(self) -> Iterator[tuple[str, int]]:
        """Normalised query and count of each row; a query may come several times.

        Raises:
            InputError: the file is damaged or changed, or a row has an empty query, no whole number of at least
                0, or no marketplace's name; names file, row and field.
        """
        for record in self._table.rows():
            if isinstance(record, BadRow):
                raise InputError(record.problem, source=str(self.path), row=record.row, field=record.field)
            row, (query, count, marketplace) = record
            if self._is_own(marketplace or "", row):
                yield self._query(query, row), self._count(count, row)

    def _query(self, query: str | None, row: int) -> str:
        return normalised_query(checked_text(query or "", field="query", source=str(self.path), row=row))

    def _is_own(self, marketplace: str, row: int) -> bool:
        if marketplace == self.marketplace or is_blank(marketplace):
            return True
        return checked_marketplace(marketplace, source=str(self.path), row=row) == self.marketplace

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


_WINDOW_BYTES = 8


class TrafficCoverage(BaseModel):
    """What was chosen of the traffic, and what was left out.

    Queries are distinct ones after normalisation, `traffic` is the sum of their counts. Queries of candidates
    that the traffic does not know are left out too; they are not counted here.
    """

    model_config = ConfigDict(frozen=True)

    file: str
    coverage: float = Field(description="share that was asked for")
    share: float = Field(description="share of the traffic that the chosen queries make up")
    queries: int
    chosen_queries: int
    left_out_queries: int
    traffic: int
    chosen_traffic: int
    left_out_traffic: int

    def text(self) -> str:
        """One line."""
        return (
            f"{self.chosen_queries:,} of {self.queries:,} queries make up {self.share:.1%} of {self.traffic:,}; "
            f"{self.left_out_queries:,} with {self.left_out_traffic:,} are left out"
        )


class HeadAndTorso:
    """The chosen queries of one marketplace: 16 bytes each, and 0.5 MB for finding them.

    Measured: 16.5 bytes for each of a million chosen queries; while they are chosen, at most 76 bytes for each
    query of the traffic. The most frequent ones are chosen until their share of all traffic reaches the
    coverage; of equally frequent ones those come first that sort first by their bytes.
    """

    def __init__(self, chosen: QueryDigests, report: TrafficCoverage) -> None:
        self._chosen = chosen
        self.report = report

    @classmethod
    def read(cls, path: Path, marketplace: str, coverage: float) -> HeadAndTorso:
        """Choose from a table of counts.

        Raises:
            InputError: the file cannot be read, a row is wrong, or there is no traffic of the marketplace.
            ConfigurationError: the coverage is not above 0 and at most 1.
        """
        checked_coverage(coverage)
        file = TrafficFile(path, marketplace)
        sums = TrafficCounts()
        for query, count in file.rows():
            sums.add(query, count)
        if not sums.total:
            raise InputError(f"there is no traffic of {marketplace!r}", source=str(path))
        digests, counts = sums.merged()
        chosen = _most_frequent(counts, math.ceil(Fraction(str(coverage)) * sums.total))
        _settle_ties(chosen, digests, counts, file)
        return cls(
            QueryDigests(digests[chosen]),
            _coverage_report(path, coverage, counts, int(counts[chosen].sum()), int(chosen.sum())),
        )

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that are the same for the same choice, whatever file it was made from."""
        return self._chosen.fingerprint(salt=f"head and torso, normalisation {NORMALISATION_VERSION}")

    def contains(self, normalised_query: str) -> bool:
        """Whether a query, as `normalised_query` gives it, was chosen."""
        return query_digest(normalised_query) in self._chosen


def _most_frequent(counts: NDArray[np.int64], needed: int) -> NDArray[np.bool_]:
    """Marks so many queries as reach the needed sum; which of equally frequent ones is not settled yet."""
    order = np.argsort(-counts, kind="stable")
    last = int(np.searchsorted(np.cumsum(counts[order]), needed))
    chosen = np.zeros(len(counts), dtype=np.bool_)
    chosen[order[: last + 1]] = True
    return chosen


def _settle_ties(
    chosen: NDArray[np.bool_], digests: Digests, counts: NDArray[np.int64], file: TrafficFile
) -> None:
    """Of the queries as frequent as the rarest chosen one, choose the same number, but the first by their bytes.

    The file is read again for every eight bytes that it takes to tell them apart, as no texts are kept.
    """
    tied = np.flatnonzero(counts == counts[chosen].min())
    wanted = int(chosen[tied].sum())
    chosen[tied] = False
    offset = 0
    while wanted < len(tied):
        windows = _windows(digests[tied], file, offset)
        pivot = np.partition(windows, wanted - 1)[wanted - 1]
        before = windows < pivot
        chosen[tied[before]] = True
        wanted -= int(before.sum())
        tied = tied[windows == pivot]
        offset += _WINDOW_BYTES
    chosen[tied] = True


def _windows(digests: Digests, file: TrafficFile, offset: int) -> NDArray[np.uint64]:
    """Eight bytes of each query from `offset` on, as numbers; zeros behind its end."""
    wanted = QueryDigests(digests)
    windows = np.zeros(len(digests), dtype=np.uint64)
    for query, _ in file.rows():
        digest = query_digest(query)
        if digest in wanted:
            window = query.encode()[offset : offset + _WINDOW_BYTES].ljust(_WINDOW_BYTES, b"\0")
            windows[np.searchsorted(digests, np.bytes_(digest))] = int.from_bytes(window)
    return windows


def _coverage_report(
    path: Path, coverage: float, counts: NDArray[np.int64], chosen_traffic: int, chosen_queries: int
) -> TrafficCoverage:
    queries, traffic = len(counts), int(counts.sum())
    return TrafficCoverage(
        file=str(path),
        coverage=coverage,
        share=chosen_traffic / traffic,
        queries=queries,
        chosen_queries=chosen_queries,
        left_out_queries=queries - chosen_queries,
        traffic=traffic,
        chosen_traffic=chosen_traffic,
        left_out_traffic=traffic - chosen_traffic,
    )
