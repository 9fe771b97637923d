"""A long fill of synthetic candidates: memory and rate, sampled over the run."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.machine import machine, resident_megabytes
from service.cache.store import opened_cache
from service.engine.options import bound_onednn_caches
from service.engine.versions.loading import load_scorer
from service.fill.job import FillJob
from service.fill.report.progress import FillProgress
from service.fill.report.report import FillCounts, FillReport
from service.fill.target import FillTarget
from service.settings import load_settings

_PRODUCTS_PER_QUERY = 20
_QUERIES_AT_ONCE = 1000
_WORDS = 2000
_PARTS = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """At one moment of the run. `cpu_seconds` are the process's own, which others on the machine move little."""

    seconds: float
    cpu_seconds: float
    scored: int
    resident_mb: float


class _SamplingProgress(FillProgress):
    """Takes a sample with every chunk."""

    def __init__(self, marketplace: str) -> None:
        super().__init__(marketplace, Console(stderr=True))
        self.samples: list[Sample] = []

    def update(self, counts: FillCounts, bytes_read: int) -> None:
        super().update(counts, bytes_read)
        resident = resident_megabytes(os.getpid())
        self.samples.append(Sample(time.perf_counter(), time.process_time(), counts.scored, resident))


def growth_benchmark(store: Path, marketplace: str, pairs: int) -> dict[str, Any]:
    """Fill from one file of so many pairs, queries of 20 products each."""
    bound_onednn_caches()
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: its memory is none of the fill's.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as others:
            path = others.submit(_written, Path(folder) / "candidates.tsv", pairs).result()
        progress = _SamplingProgress(marketplace)
        report = asyncio.run(_filled(store, marketplace, path, Path(folder), progress))
    samples = progress.samples
    return {
        "benchmark": "fill_growth",
        "pairs": report.counts.scored,
        "pairs_per_second": report.pairs_per_second,
        "parts": _parts(samples),
        "growth_mb_of_the_last_nine_tenths": samples[-1].resident_mb
        - samples[len(samples) // _PARTS].resident_mb,
        "stages": report.stages.model_dump(),
        "redis_bytes_per_cached_pair": report.redis_bytes / max(1, report.counts.cached),
        "counts": report.counts.model_dump(),
        "samples": [asdict(sample) for sample in samples],
        "machine": machine(),
    }


async def _filled(store: Path, marketplace: str, path: Path, folder: Path, progress: FillProgress) -> FillReport:
    settings = load_settings(model_store=store, cache_folder=folder / "cache", fill_folder=folder / "fills")
    scorer = load_scorer(store, options=settings.engine)
    async with opened_cache(settings) as cache:
        return await FillJob(FillTarget(marketplace, scorer, cache, settings), [path], progress=progress).run()


def _parts(samples: list[Sample]) -> list[dict[str, float]]:
    """Rates and memory of each tenth of the run; the first begins with the first chunk's end."""
    ends = [samples[round(place * (len(samples) - 1) / _PARTS)] for place in range(_PARTS + 1)]
    return [
        {
            "scored": end.scored,
            "pairs_per_second": (end.scored - begin.scored) / (end.seconds - begin.seconds),
            "cpu_seconds_per_100k": 1e5 * (end.cpu_seconds - begin.cpu_seconds) / (end.scored - begin.scored),
            "resident_mb": end.resident_mb,
        }
        for begin, end in pairwise(ends)
    ]


def _written(path: Path, pairs: int) -> Path:
    """Random words; a product comes for about 50 queries, rows of a query stand together."""
    generator = np.random.default_rng(0)
    words = ["".join(chr(97 + letter) for letter in generator.integers(0, 26, 5)) for _ in range(_WORDS)]
    products = [" ".join(words[place] for place in generator.integers(0, _WORDS, 3)) for _ in range(pairs // 50)]
    with path.open("w", encoding="utf-8") as file:
        file.write("query\tproduct_id\tproduct_title\n")
        for first in track(range(0, pairs // _PRODUCTS_PER_QUERY, _QUERIES_AT_ONCE), description="candidates"):
            for query in range(first, min(first + _QUERIES_AT_ONCE, pairs // _PRODUCTS_PER_QUERY)):
                text = f"{words[query % _WORDS]} {words[query // _WORDS % _WORDS]}"
                for place in generator.integers(0, len(products), _PRODUCTS_PER_QUERY).tolist():
                    file.write(f"{text}\tp{place}\t{products[place]}\n")
    return path
