"""Writes the scores of a request to the active generations, and says what was not written and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model_store.errors import CacheUnavailableError
from model_store.product import QueryProductPair
from service.cache.generations import Generation
from service.cache.offline_cache import OfflineCache, QueryScores
from service.cache.query_normalisation import normalised_query


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """A pair, its score and whether that reaches the threshold of its marketplace."""

    pair: QueryProductPair
    score: float
    highly_relevant: bool


@dataclass(frozen=True, slots=True)
class WriteReport:
    """Whether each pair is in the cache now, in the order given, and why something was not written."""

    cached: list[bool]
    notes: list[str]


class ScoreWriter:
    """Merges scores of one model version into the active generation of every marketplace.

    Where a marketplace has no generation, one is opened. Where its active one belongs to another model version,
    nothing is written: scores of two versions are never mixed, and a new, nearly empty generation would hide a
    filled one.
    """

    def __init__(self, cache: OfflineCache, model_version: int, without_threshold: frozenset[str]) -> None:
        self._cache = cache
        self._model_version = model_version
        self._without_threshold = without_threshold

    async def write(self, scored: Sequence[ScoredPair]) -> WriteReport:
        """Write highly relevant pairs, and the marker for queries without one. A cache that is down is a note."""
        kept: set[tuple[str, str, str]] = set()
        notes: list[str] = []
        for marketplace in dict.fromkeys(item.pair.marketplace for item in scored):
            rows = [item for item in scored if item.pair.marketplace == marketplace]
            try:
                note = await self._write_marketplace(marketplace, rows, kept)
            except CacheUnavailableError as error:
                note = str(error)
            if note and note not in notes:
                notes.append(note)
        return WriteReport([item.highly_relevant and _identity(item.pair) in kept for item in scored], notes)

    async def _write_marketplace(
        self, marketplace: str, rows: Sequence[ScoredPair], kept: set[tuple[str, str, str]]
    ) -> str | None:
        if marketplace in self._without_threshold:
            return f"{marketplace}: the model version has no threshold for it, so nothing of it is cached"
        generation = await self._cache.generations.active_or_open(marketplace, self._model_version)
        if generation.model_version != self._model_version:
            return _other_version(generation, self._model_version)
        entries: dict[str, QueryScores] = {}
        for item in rows:
            query = normalised_query(item.pair.query)
            entry = entries.setdefault(query, QueryScores(query))
            entry.add(item.pair.product.id, item.score, item.highly_relevant)
        outcomes = await self._cache.merge(generation, list(entries.values()))
        for entry, outcome in zip(entries.values(), outcomes, strict=True):
            kept.update((marketplace, entry.query, name) for name in entry.kept.keys() - outcome.removed_by_cap)
        return None


def _identity(pair: QueryProductPair) -> tuple[str, str, str]:
    return pair.marketplace, normalised_query(pair.query), pair.product.id


def _other_version(active: Generation, version: int) -> str:
    return (
        f"{active.marketplace}: generation {active.number} in the cache was filled by model version "
        f"{active.model_version}, this is version {version}; fill the cache anew (python -m service fill)"
    )
