"""Candidates in chunks, each of which says how far the files are read then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from model_store.errors import InputError
from model_store.product import QueryProductPair
from model_store.query_normalisation import normalised_query
from model_store.tables.lines import FileStamp
from model_store.tables.pairs import OtherMarketplace, PairTable
from model_store.tables.pairs import PairRow as Candidate
from model_store.tables.values import BadRow
from service.fill.candidates.rejected import RejectedRowsLog

__all__ = ["Candidate", "CandidateFile", "OtherMarketplace"]


class CandidateFile(PairTable):
    """One candidate file, from which the pairs of one marketplace are taken.

    Rows whose marketplace column is empty, and all rows of a file without one, belong to that marketplace.

    Args:
        stamp: how the file has to be; as it is now if None.

    Raises:
        InputError: no such file, an unknown form, or a column is missing.
    """

    def __init__(
        self, path: Path, marketplace: str, max_text_characters: int, stamp: FileStamp | None = None
    ) -> None:
        super().__init__(path, only=marketplace, max_text_characters=max_text_characters, stamp=stamp)


_ROWS_BEFORE_STOPPING = 1000
"""From here on a share of bad rows above the limit stops the job at once, not only at the end."""


class UselessCandidatesError(InputError):
    """Nothing can be made of the files: no pair in them, or too many rows that cannot be used."""


class ReadingState(BaseModel):
    """How far the files are read, and what was found up to there.

    `row` is the number of the last row that was read of the file at place `file`; `rejected_bytes` how long the
    file of the rejected rows is.
    """

    model_config = ConfigDict(frozen=True)

    file: int = 0
    row: int = 0
    bytes_read: int = 0
    rows: int = 0
    bad_rows: int = 0
    other_marketplace_rows: int = 0
    uncovered_rows: int = 0
    rejected_bytes: int = 0


class ChosenQueries(Protocol):
    """Which queries are to be filled."""

    def contains(self, normalised_query: str) -> bool:
        """Whether a query is, in its normalised form."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Pairs to score, the state behind the last of them, and whether this is the last chunk of its window."""

    pairs: list[QueryProductPair]
    after: ReadingState
    ends_window: bool


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """Pairs in a chunk, and chunks in a window: checkpoints are possible at the end of a window."""

    pairs: int
    chunks_in_window: int

    @classmethod
    def of(cls, chunk_pairs: int, checkpoint_pairs: int) -> ChunkSizes:
        """A window has at least one chunk."""
        return cls(chunk_pairs, max(1, checkpoint_pairs // chunk_pairs))


class CandidateChunks:
    """The chunks behind a state. If that ended a window, where they begin and end depends on the files alone.

    Args:
        most_bad_share: share of bad rows above which reading ends with an error.
    """

    def __init__(
        self,
        files: Sequence[CandidateFile],
        rejected: RejectedRowsLog,
        sizes: ChunkSizes,
        most_bad_share: float,
        chosen: ChosenQueries | None = None,
        start: ReadingState | None = None,
    ) -> None:
        self._files = files
        self._rejected = rejected
        self._sizes = sizes
        self._most_bad_share = most_bad_share
        self._chosen = chosen
        self._state = dict(start or ReadingState())
        self._chunks_read = 0

    def __iter__(self) -> Iterator[Chunk]:
        """Read on; one thread.

        Raises:
            InputError: a file is damaged.
            UselessCandidatesError: too many bad rows.
        """
        pairs: list[QueryProductPair] = []
        for pair in self._pairs():
            pairs.append(pair)
            if len(pairs) == self._sizes.pairs:
                yield self._chunk(pairs)
                pairs = []
        check_bad_rows(self._read(), self._most_bad_share, self._rejected, at_end=True)
        yield self._chunk(pairs)

    def _chunk(self, pairs: list[QueryProductPair]) -> Chunk:
        self._chunks_read += 1
        ends_window = self._chunks_read % self._sizes.chunks_in_window == 0
        return Chunk(pairs, self._read(), ends_window)

    def _read(self) -> ReadingState:
        self._state["rejected_bytes"] = self._rejected.size
        return ReadingState.model_validate(self._state)

    def _pairs(self) -> Iterator[QueryProductPair]:
        state = self._state
        for place in range(state["file"], len(self._files)):
            file = self._files[place]
            before = sum(earlier.size for earlier in self._files[:place])
            start_row = state["row"] if place == state["file"] else 0
            state["file"], state["row"] = place, start_row
            for item in file.pairs(start_row):
                state["rows"] += 1
                if isinstance(item, Candidate):
                    state["row"] = item.row
                    if self._is_chosen(item.pair):
                        state["bytes_read"] = before + file.position
                        yield item.pair
                else:
                    state["row"] = item.row
                    self._leave_out(file.path, item)

    def _is_chosen(self, pair: QueryProductPair) -> bool:
        if self._chosen is None or self._chosen.contains(normalised_query(pair.query)):
            return True
        self._state["uncovered_rows"] += 1
        return False

    def _leave_out(self, path: Path, item: BadRow | OtherMarketplace) -> None:
        if isinstance(item, OtherMarketplace):
            self._state["other_marketplace_rows"] += 1
            return
        self._state["bad_rows"] += 1
        self._rejected.add(path, item)
        check_bad_rows(self._read(), self._most_bad_share, self._rejected)


def check_bad_rows(
    read: ReadingState, most_bad_share: float, rejected: RejectedRowsLog, *, at_end: bool = False
) -> None:
    """Stop a fill whose candidates are of no use: at the end, or before it once there are enough rows to tell.

    Raises:
        UselessCandidatesError: the share of bad rows is above the limit.
    """
    if not read.rows or (read.rows < _ROWS_BEFORE_STOPPING and not at_end):
        return
    if read.bad_rows / read.rows > most_bad_share:
        raise UselessCandidatesError(
            f"{read.bad_rows} of {read.rows} rows cannot be used, more than {100 * most_bad_share:g} % "
            f"(FILL_BAD_ROW_SHARE); the cache is as it was, the reasons are in {rejected.path}"
        )
