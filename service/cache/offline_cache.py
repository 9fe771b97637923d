"""Reads and writes the entries of queries: product ids with scores, or "nothing relevant"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from service.cache.connection import CacheConnection, Script
from service.cache.generations import Generation, Generations
from service.cache.keys import entry_key

SCORE_SCALE = 10_000
"""Scores are kept as integers, score * 10^4: half the memory of floats."""

DEFAULT_CAP = 128
"""Above this a sorted set becomes a skip list, at three times the memory."""

_MERGE_ENTRY = Script.from_file("merge_entry.lua")
_MARKER = ""
_MOST_ATTEMPTS = 5

Status = Literal["relevant", "nothing_relevant", "never_scored"]


@dataclass(frozen=True, slots=True)
class CachedProduct:
    """A highly relevant product; `score` in [0, 1] with four decimals."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class CacheAnswer:
    """What the cache knows of a query.

    `nothing_relevant`: products were scored for it, and none was highly relevant. `never_scored`: the
    generation has no entry for it, or there is no generation.
    """

    status: Status
    products: tuple[CachedProduct, ...]
    generation: Generation | None


@dataclass(slots=True)
class QueryScores:
    """Newly scored products of one query: those to keep with their scores, and those that are not relevant."""

    query: str
    kept: dict[str, float] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)

    def add(self, product_id: str, score: float, highly_relevant: bool) -> None:
        """Note one product; of a product scored twice the last score counts."""
        if highly_relevant:
            self.kept[product_id] = score
            self.dropped.discard(product_id)
        else:
            self.kept.pop(product_id, None)
            self.dropped.add(product_id)


@dataclass(frozen=True, slots=True)
class MergeOutcome:
    """What merging into one entry did: is it new, by how much did it grow, which ids did the cap remove."""

    created: bool
    growth: int
    removed_by_cap: frozenset[str]


class OfflineCache:
    """The cache of all marketplaces. Every method raises CacheUnavailableError when the server is away."""

    def __init__(self, connection: CacheConnection, cap: int = DEFAULT_CAP) -> None:
        self.connection = connection
        self.generations = Generations(connection)
        self.cap = cap

    async def read(self, marketplace: str, query: str) -> CacheAnswer:
        """The products of a query, best first, equal scores by id.

        The answer comes from one generation. If that was replaced twice in the meantime, and so removed, the
        new one is read.
        """
        generation = await self.generations.active(marketplace)
        for _ in range(_MOST_ATTEMPTS):
            answer = await self._read_from(generation, marketplace, query)
            if answer.status != "never_scored":
                break
            current = await self.generations.active(marketplace)
            if current == generation:
                break
            generation = current
        return answer

    async def _read_from(self, generation: Generation | None, marketplace: str, query: str) -> CacheAnswer:
        if generation is None:
            return CacheAnswer("never_scored", (), None)
        rows = await self.connection.sorted_set(entry_key(marketplace, generation.number, query))
        if not rows:
            return CacheAnswer("never_scored", (), generation)
        ordered = sorted((row for row in rows if row[0] != _MARKER), key=lambda row: (-row[1], row[0]))
        products = tuple(CachedProduct(name, score / SCORE_SCALE) for name, score in ordered)
        return CacheAnswer("relevant" if products else "nothing_relevant", products, generation)

    async def merge(self, generation: Generation, entries: Sequence[QueryScores]) -> list[MergeOutcome]:
        """Merge newly scored products into a generation; outcomes in the order of `entries`.

        Each query is merged by one script: an entry never holds more products than the cap, nor products
        beside the "nothing relevant" marker, whoever writes at the same time.
        """
        calls = [
            (entry_key(generation.marketplace, generation.number, entry.query), self._arguments(entry))
            for entry in entries
        ]
        replies = await self.connection.run_script(_MERGE_ENTRY, calls)
        return [_outcome(cast("list[int | bytes]", reply)) for reply in replies]

    def _arguments(self, entry: QueryScores) -> list[str | int]:
        arguments: list[str | int] = [self.cap, len(entry.kept)]
        for product_id, score in entry.kept.items():
            arguments += [round(score * SCORE_SCALE), product_id]
        return arguments + sorted(entry.dropped)


def _outcome(reply: list[int | bytes]) -> MergeOutcome:
    created, growth, *removed = reply
    return MergeOutcome(bool(created), int(growth), frozenset(cast("bytes", name).decode() for name in removed))
