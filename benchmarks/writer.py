"""The fill's writer against a bare redis-py pipeline that writes the same sorted sets to the same server."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from redis import Redis

from model_store.product import Product, QueryProductPair
from service.cache.generation_builder import GenerationBuilder
from service.cache.generations import Generation
from service.cache.keys import entries_prefix, entry_key
from service.cache.look_ups import SCORE_SCALE
from service.cache.server.commands import PIPELINE_COMMANDS
from service.cache.server.connection import CacheConnection
from service.cache.server.embedded import EmbeddedValkey
from service.cache.store import CacheStore
from service.fill.candidates.query_log import QueryLog
from service.fill.generation.writer import GenerationWriter
from service.fill.report.stage_times import StageTimes
from service.fill.retry import RetryPolicy

MARKETPLACE = "us"
PRODUCTS = 20
_CHUNK_PAIRS = 2048
_BARE_PREFIX = "bare:"


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """Queries of 20 products with ids like a catalogue's, of ten characters, and scores from 0.7 to 1."""

    pairs: list[QueryProductPair]
    scores: np.ndarray  # (pairs)

    @classmethod
    def drawn(cls, count: int) -> ScoredPairs:
        """With a fixed seed; products of a query stand together."""
        generator = np.random.default_rng(0)
        ids = [f"B{number:09d}" for number in generator.integers(0, 10**9, count).tolist()]
        queries = [f"query number {place // PRODUCTS}" for place in range(count)]
        pairs = [
            QueryProductPair(MARKETPLACE, query, Product(name, ""))
            for query, name in zip(queries, ids, strict=True)
        ]
        return cls(pairs, generator.uniform(0.7, 1.0, count))

    def sorted_sets(self, prefix: str) -> dict[str, dict[str, int]]:
        """What is to be in the cache, by key."""
        sets: dict[str, dict[str, int]] = {}
        scores = np.rint(self.scores * SCORE_SCALE).astype(np.int64).tolist()
        for pair, score in zip(self.pairs, scores, strict=True):
            products = sets.setdefault(f"{prefix}{pair.query}", {})
            products[pair.product.id] = max(score, products.get(pair.product.id, 0))
        return sets


async def write_pairs(cache: CacheStore, built: Generation, scored: ScoredPairs, folder: Path) -> None:
    """As a fill writes them, in chunks of its size."""
    queries = QueryLog(folder / "queries")
    retry = RetryPolicy(0, print)
    try:
        writer = GenerationWriter(GenerationBuilder(cache, built), queries, retry.run, StageTimes())
        for start in range(0, len(scored.pairs), _CHUNK_PAIRS):
            part = slice(start, start + _CHUNK_PAIRS)
            scores = scored.scores[part]
            await writer.add(scored.pairs[part], scores, np.ones(len(scores), dtype=bool))
        await writer.flush()
    finally:
        queries.close()


async def writer_figures(count: int, rounds: int) -> dict[str, Any]:
    """Pairs a second of both in turns, after a round that is not counted."""
    scored = ScoredPairs.drawn(count)
    sets = scored.sorted_sets(_BARE_PREFIX)
    ours: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder) / "cache")
        connection = CacheConnection.open(server.url)
        try:
            cache = CacheStore(connection)
            with Redis.from_url(server.url) as client:
                for number in range(rounds + 1):
                    built = await cache.generations.create(MARKETPLACE, 1, "benchmark", "building")
                    started = time.perf_counter()
                    await write_pairs(cache, built, scored, Path(folder))
                    between = time.perf_counter()
                    await asyncio.to_thread(_write_bare, client, sets)
                    ended = time.perf_counter()
                    if number:
                        ours.append(count / (between - started))
                        bare.append(count / (ended - between))
                    _check_same(client, sets, built.number)
                    await cache.generations.remove(built)
                    client.delete(*sets)
        finally:
            await connection.close()
            server.leave()
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    return {
        "pairs": count,
        "products_per_query": PRODUCTS,
        "fill_pairs_per_second": statistics.median(ours),
        "bare_pairs_per_second": statistics.median(bare),
        "ratio": statistics.median(ratios),
        "ratios_of_rounds": ratios,
    }


def _write_bare(client: Redis, sets: dict[str, dict[str, int]]) -> None:
    names = list(sets)
    for start in range(0, len(names), PIPELINE_COMMANDS):
        pipeline = client.pipeline(transaction=False)
        for name in names[start : start + PIPELINE_COMMANDS]:
            pipeline.zadd(name, sets[name])
        pipeline.execute()


def _check_same(client: Redis, sets: dict[str, dict[str, int]], generation: int) -> None:
    """What was written faster must be the same."""
    names = list(sets)
    written = sum(1 for _ in client.scan_iter(match=entries_prefix(MARKETPLACE, generation) + "*", count=1000))
    sampled: Sequence[str] = names[:: max(1, len(names) // 100)]
    for name in sampled:
        key = entry_key(MARKETPLACE, generation, name.removeprefix(_BARE_PREFIX))
        if client.zrange(key, 0, -1, withscores=True) != client.zrange(name, 0, -1, withscores=True):
            raise RuntimeError(f"{name} was written differently")
    if written != len(names):
        raise RuntimeError(f"{written} queries were written, not {len(names)}")
