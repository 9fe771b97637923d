"""Gathers scored pairs by query and merges them into a generation, many queries at once."""

from __future__ import annotations

from model_store.product import QueryProductPair
from service.cache.connection import PIPELINE_COMMANDS
from service.cache.generations import Generation
from service.cache.offline_cache import OfflineCache, QueryScores
from service.cache.query_normalisation import normalised_query
from service.fill.report import FillCounts

_MOST_PENDING_PAIRS = 50_000


class GenerationWriter:
    """Products of one query may come in any order and far apart: each part is merged into its entry.

    Nothing but the pending queries is kept in memory.
    """

    def __init__(self, cache: OfflineCache, generation: Generation, counts: FillCounts) -> None:
        self._cache = cache
        self._generation = generation
        self._counts = counts
        self._pending: dict[str, QueryScores] = {}
        self._pending_pairs = 0

    def add(self, pair: QueryProductPair, score: float, highly_relevant: bool) -> None:
        """Note one scored pair."""
        query = normalised_query(pair.query)
        self._pending.setdefault(query, QueryScores(query)).add(pair.product.id, score, highly_relevant)
        self._pending_pairs += 1
        self._counts.scored += 1
        self._counts.kept += highly_relevant

    async def flush_if_full(self) -> None:
        """Write what is pending if it fills a pipeline."""
        if len(self._pending) >= PIPELINE_COMMANDS or self._pending_pairs >= _MOST_PENDING_PAIRS:
            await self.flush()

    async def flush(self) -> None:
        """Write what is pending.

        Raises:
            CacheUnavailableError: the cache does not answer.
        """
        outcomes = await self._cache.merge(self._generation, list(self._pending.values()))
        for outcome in outcomes:
            self._counts.queries += outcome.created
            self._counts.cached += outcome.growth
            self._counts.removed_by_cap += len(outcome.removed_by_cap)
        self._pending.clear()
        self._pending_pairs = 0
