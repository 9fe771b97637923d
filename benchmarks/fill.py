"""The batch fill: the whole job against the engine alone, its writer against a bare redis-py pipeline."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.encoders import judged_pairs, name_of
from benchmarks.machine import machine
from benchmarks.writer import writer_figures
from model_store.product import QueryProductPair
from service.cache.store import opened_cache
from service.engine.interactions.interaction import tight_batches
from service.engine.options import bound_onednn_caches
from service.engine.scorer import PreparedPairs, Scorer
from service.engine.versions.loading import in_own_thread, load_scorer
from service.fill.candidates.chunks import Candidate, CandidateFile
from service.fill.job import FillJob
from service.fill.report.progress import FillProgress, FillStage
from service.fill.report.report import FillReport
from service.fill.target import FillTarget
from service.settings import ServiceSettings, load_settings
from training.data.sources import DataSource

_PRODUCTS_PER_QUERY = 100
_QUERIES_PER_PRODUCT = 10
_HEADER = "query\tproduct_id\tproduct_title"


class _StageProgress(FillProgress):
    """Notes when the fill goes on to its next stage."""

    def __init__(self, marketplace: str) -> None:
        super().__init__(marketplace, Console(quiet=True))
        self._began: dict[FillStage, float] = {}

    def enter(self, stage: FillStage) -> None:
        super().enter(stage)
        self._began[stage] = time.perf_counter()

    @property
    def scoring_seconds(self) -> float:
        """Of the pass through the candidates, without what is before and behind it, however many there are."""
        return self._began["verifying"] - self._began["scoring"]


class _Time(NamedTuple):
    """Seconds of one call, and of processor time, which others on the machine move less."""

    wall: float
    cpu: float


def fill_benchmark(
    stores: Sequence[Path], data: DataSource, marketplace: str, pairs: int, rounds: int, written_pairs: int
) -> dict[str, Any]:
    """The job on each store's newest version, and the writer."""
    bound_onednn_caches()
    return {
        "benchmark": "fill",
        "data": name_of(data),
        "rounds": rounds,
        "jobs": [_job_figures(store, data, marketplace, pairs, rounds) for store in stores],
        "writer": asyncio.run(writer_figures(written_pairs, rounds)),
        "machine": machine(),
    }


def _job_figures(store: Path, data: DataSource, marketplace: str, pairs: int, rounds: int) -> dict[str, Any]:
    """Engine, its computing alone, and the job in turns on the same pairs."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            model_store=store, cache_folder=Path(folder) / "cache", fill_folder=Path(folder) / "fills"
        )
        scorer = load_scorer(store, options=settings.engine)
        kind = scorer.manifest.pair_encoding.kind
        rows = judged_pairs(data, marketplace).pairs
        chosen = _judged(rows, pairs) if kind == "cross" else _crossed(rows, pairs)
        path = _written(Path(folder) / "candidates.tsv", chosen)
        asked = _read(path, marketplace, settings)
        prepared = scorer.prepare(asked)
        jobs: list[tuple[FillReport, float]] = []

        def job() -> None:
            jobs.append(asyncio.run(_filled(scorer, marketplace, path, settings)))

        # Each on a thread of its own that ends: the workers of another would go on spinning.
        seconds = _in_turns(
            {
                "engine": lambda: in_own_thread(lambda: scorer.with_texts_of_its_own().score(asked)),
                "computing": lambda: in_own_thread(lambda: _compute(scorer.with_texts_of_its_own(), prepared)),
                "reading": lambda: _read(path, marketplace, settings),
                "tokenising": lambda: scorer.prepare(asked),
                "job": job,
            },
            rounds,
            kind,
        )
        return _described(scorer, prepared, len(asked), seconds, jobs)


def _described(
    scorer: Scorer,
    prepared: PreparedPairs,
    pairs: int,
    taken: dict[str, list[_Time]],
    jobs: list[tuple[FillReport, float]],
) -> dict[str, Any]:
    tokenized = prepared.tokenized
    job = taken["job"]
    shares = {
        name: [alone.wall / whole.wall for alone, whole in zip(taken[name], job, strict=True)]
        for name in ("engine", "computing")
    }
    passes = [alone.wall / seconds for alone, (_, seconds) in zip(taken["engine"], jobs[1:], strict=True)]
    processor = [alone.cpu / whole.cpu for alone, whole in zip(taken["engine"], job, strict=True)]
    return {
        "pair_encoding": scorer.manifest.pair_encoding.kind,
        "engine": scorer.choice.name,
        "pairs": pairs,
        "distinct_texts": len(tokenized.queries) + len(tokenized.products),
        "median_seconds": {name: statistics.median(one.wall for one in times) for name, times in taken.items()},
        "median_cpu_seconds": {
            name: statistics.median(one.cpu for one in times) for name, times in taken.items()
        },
        "job_pairs_per_second": pairs / statistics.median(one.wall for one in job),
        "share_of_engine": statistics.median(shares["engine"]),
        "share_of_computing": statistics.median(shares["computing"]),
        "share_of_engine_of_the_pass": statistics.median(passes),
        "share_of_engine_in_cpu": statistics.median(processor),
        "shares_of_engine_of_rounds": shares["engine"],
        "shares_of_engine_in_cpu_of_rounds": processor,
        "stages": jobs[-1][0].stages.model_dump(),
    }


def _in_turns(candidates: dict[str, Callable[[], object]], rounds: int, title: str) -> dict[str, list[_Time]]:
    """Seconds of each round, after one that is not counted."""
    times: dict[str, list[_Time]] = {name: [] for name in candidates}
    for number in track(range(rounds + 1), description=f"fill with {title}"):
        for name, call in candidates.items():
            started, used = time.perf_counter(), time.process_time()
            call()
            taken = _Time(time.perf_counter() - started, time.process_time() - used)
            if number:
                times[name].append(taken)
    return times


def _judged(rows: Sequence[QueryProductPair], count: int) -> list[QueryProductPair]:
    return [rows[place] for place in np.random.default_rng(0).permutation(len(rows))[:count]]


def _crossed(rows: Sequence[QueryProductPair], count: int) -> list[QueryProductPair]:
    """Queries with 100 products each: a product comes for about ten queries, as in a catalogue."""
    generator = np.random.default_rng(0)
    queries = list(dict.fromkeys(pair.query for pair in rows))
    products = list({pair.product.id: pair.product for pair in rows}.values())[: count // _QUERIES_PER_PRODUCT]
    return [
        QueryProductPair(rows[0].marketplace, query, products[place])
        for query in queries[: count // _PRODUCTS_PER_QUERY]
        for place in generator.choice(len(products), _PRODUCTS_PER_QUERY, replace=False)
    ]


def _written(path: Path, pairs: Sequence[QueryProductPair]) -> Path:
    lines = [f"{pair.query}\t{pair.product.id}\t{pair.product.title}" for pair in pairs]
    path.write_text("\n".join([_HEADER, *lines]) + "\n", encoding="utf-8")
    return path


def _read(path: Path, marketplace: str, settings: ServiceSettings) -> list[QueryProductPair]:
    file = CandidateFile(path, marketplace, settings.max_text_characters)
    return [item.pair for item in file.pairs() if isinstance(item, Candidate)]


def _compute(scorer: Scorer, prepared: PreparedPairs) -> None:
    work = scorer.begin(prepared)
    for rows in tight_batches(work.lengths, scorer.token_budget):
        scorer.compute([(work, rows)])
    scorer.finish(prepared, work)


async def _filled(
    scorer: Scorer, marketplace: str, path: Path, settings: ServiceSettings
) -> tuple[FillReport, float]:
    """The report, and the seconds of the pass through the candidates."""
    async with opened_cache(settings) as cache:
        target = FillTarget(marketplace, scorer, cache, settings)
        progress = _StageProgress(marketplace)
        return await FillJob(target, [path], progress=progress).run(), progress.scoring_seconds
