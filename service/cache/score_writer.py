"""Writes the scores of a request to the active generations, and says what was not written and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model_store.errors import CacheUnavailableError
from model_store.product import QueryProductPair
from model_store.query_normalisation import normalised_query
from service.cache.generations import Generation, entry_key_of
from service.cache.removed_products import RemovedState
from service.cache.store import CacheStore, QueryScores

_MOST_ATTEMPTS = 5


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

    Where a marketplace has no generation, one is opened. Where readers are switched to another generation while
    it writes, it writes to that one too, or, if that is of another model version, not. Where the active one
    belongs to another model version, nothing is written: scores of two versions are never mixed, and a new,
    nearly empty generation would hide a filled one.
    """

    def __init__(self, cache: CacheStore, model_version: int, without_threshold: frozenset[str]) -> None:
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
        for _ in range(_MOST_ATTEMPTS):
            generation = await self._cache.generations.active_or_open(marketplace, self._model_version)
            if generation.model_version != self._model_version:
                return _other_version(generation, self._model_version)
            found = await self._merge(generation, rows)
            if await self._cache.generations.is_active(generation):
                rule = generation.normalisation
                kept.update(
                    _identity(item.pair)
                    for item in rows
                    if (normalised_query(item.pair.query, rule), item.pair.product.id) in found
                )
                return None
            await self._forget_if_removed(generation, rows)
        return f"{marketplace}: readers were switched to other generations all the time; nothing is cached"

    async def _merge(self, generation: Generation, rows: Sequence[ScoredPair]) -> set[tuple[str, str]]:
        """Merge what is on sale into a generation; the queries and products that it holds afterwards."""
        removed = await self._cache.removed.state(generation.marketplace)
        entries: dict[str, QueryScores] = {}
        for item in rows:
            query, name = normalised_query(item.pair.query, generation.normalisation), item.pair.product.id
            entry = entries.setdefault(query, QueryScores(query))
            entry.add(name, item.score, item.highly_relevant and name not in removed.ids)
        outcomes = await self._cache.merge(generation, list(entries.values()))
        kept = {
            (entry.query, name)
            for entry, outcome in zip(entries.values(), outcomes, strict=True)
            for name in entry.kept.keys() - outcome.removed_by_cap
        }
        return kept - await self._taken_out(generation, kept, removed)

    async def _taken_out(
        self, generation: Generation, kept: set[tuple[str, str]], before: RemovedState
    ) -> set[tuple[str, str]]:
        """Take out what was taken off sale while it was written: the sweep may have passed before it came."""
        if await self._cache.removed.change(generation.marketplace) == before.change:
            return set()
        now = await self._cache.removed.state(generation.marketplace)
        gone = {(query, name) for query, name in kept if name in now.ids}
        keys = [entry_key_of(generation, query) for query, _ in gone]
        await self._cache.removed.take_out_of(keys, {name for _, name in gone})
        return gone

    async def _forget_if_removed(self, generation: Generation, rows: Sequence[ScoredPair]) -> None:
        """A removal may have passed an entry's key before the entry came; without a record nobody reads it."""
        if await self._cache.generations.find(generation.marketplace, generation.number) is None:
            await self._cache.connection.delete_all([entry_key_of(generation, item.pair.query) for item in rows])


def _identity(pair: QueryProductPair) -> tuple[str, str, str]:
    return pair.marketplace, pair.query, pair.product.id


def _other_version(active: Generation, version: int) -> str:
    return (
        f"{active.marketplace}: generation {active.number} in the cache was filled by model version "
        f"{active.model_version}, this is version {version}; fill the cache anew (python -m service fill)"
    )
