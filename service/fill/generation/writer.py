"""Gathers scored pairs by query and writes them into a generation, while the next ones are gathered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from model_store.product import QueryProductPair
from service.cache.generation_builder import GenerationBuilder, ScoredProduct
from service.cache.look_ups import SCORE_SCALE
from service.fill.candidates.query_log import KeyLog
from service.fill.report.stage_times import StageTimes

_MOST_PENDING_PAIRS = 20_000

Products = dict[str, list[ScoredProduct]]
Retry = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
"""Runs an operation again while the cache is away."""


class GenerationWriter:
    """Products of one query may come in any order and far apart: each part is joined to its entry.

    Nothing is kept in memory but what is being written, and as much again.
    """

    def __init__(self, builder: GenerationBuilder, queries: KeyLog, retry: Retry, times: StageTimes) -> None:
        self._builder = builder
        self._queries = queries
        self._retry = retry
        self._times = times
        self._pending: Products = {}
        self._pending_pairs = 0
        self._writing: asyncio.Task[None] | None = None

    async def add(self, pairs: Sequence[QueryProductPair], scores: np.ndarray, kept: np.ndarray) -> None:
        """Note scored pairs, and write if they are many.

        Args:
            pairs: (n) pairs.
            scores: (n) in [0, 1].
            kept: (n) bool, whether each is highly relevant.

        Raises:
            CacheUnavailableError: the cache does not answer.
        """
        pending = self._pending
        rounded = np.rint(scores * SCORE_SCALE).astype(np.int64).tolist()
        for pair, score, relevant in zip(pairs, rounded, kept.tolist(), strict=True):
            products = pending.get(pair.query)
            if products is None:
                products = pending[pair.query] = []
            if relevant:
                products.append((score, pair.product.id))
        self._pending_pairs += len(pairs)
        if self._pending_pairs >= _MOST_PENDING_PAIRS:
            await self._begin_writing()

    async def flush(self) -> None:
        """Write what is pending; returns when all of it is written.

        Raises:
            CacheUnavailableError: the cache does not answer.
        """
        await self._begin_writing()
        await self._written()

    async def abandon(self) -> None:
        """Write nothing more."""
        if self._writing:
            self._writing.cancel()
            await asyncio.wait([self._writing])

    async def _begin_writing(self) -> None:
        await self._written()
        products = self._by_key()
        self._queries.add(products)
        self._writing = asyncio.create_task(self._write(products))

    def _by_key(self) -> Products:
        by_key: Products = {}
        for query, products in self._pending.items():
            known = by_key.setdefault(self._builder.key(query), products)
            if known is not products:
                known += products
        self._pending = {}
        self._pending_pairs = 0
        return by_key

    async def _write(self, products: Products) -> None:
        with self._times.stage("writing"):
            await self._retry(lambda: self._builder.write(products))

    async def _written(self) -> None:
        if self._writing:
            await self._writing
            self._writing = None
