"""The running server under open-loop load: throughput, latency and refusals against what is offered."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.progress import track

from benchmarks.machine import machine
from benchmarks.texts import judged_pairs
from model_store.product import QueryProductPair
from service.engine.micro_batching import MicroBatching
from service.engine.scorer_loading import load_scorer
from service.settings import load_settings

PAIRS_PER_REQUEST = (1, 4, 8, 16, 32)
LOADS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5, 2.0, 3.0)
_CONCURRENCY = 32
_SINGLE_REQUESTS = 60


@dataclass(frozen=True, slots=True)
class Answered:
    """One request: its status, its seconds, its pairs."""

    status: int
    seconds: float
    pairs: int


def http_benchmark(store: Path, data: Path, marketplace: str, seconds: float) -> dict[str, Any]:
    """Engine alone, server saturated, single requests, and open loop from 10 % to 300 % of capacity."""
    requests = _requests(data, marketplace)
    engine = asyncio.run(_engine(store, requests, seconds))
    with _server(store) as (address, process):
        served = asyncio.run(_served(address, process.pid, requests, seconds))
    capacity = served["saturated_pairs_per_second"]
    return {
        "benchmark": "http",
        "store": str(store),
        "data": data.name,
        "marketplace": marketplace,
        "pairs_per_request": PAIRS_PER_REQUEST,
        "seconds_per_load": seconds,
        "engine": engine,
        **served,
        "share_of_engine": capacity / engine["pairs_per_second"],
        "added_milliseconds": 1000 * (served["single_p50_seconds"] - engine["single_p50_seconds"]),
        "machine": machine(),
    }


def _requests(data: Path, marketplace: str) -> list[list[QueryProductPair]]:
    """Requests of 1 to 32 pairs with the sample's mix of lengths, drawn with a fixed seed."""
    generator = np.random.default_rng(0)
    judged = judged_pairs(data).pairs
    pairs = [judged[place] for place in generator.permutation(len(judged))]
    requests, start = [], 0
    while start + max(PAIRS_PER_REQUEST) <= len(pairs):
        size = int(generator.choice(PAIRS_PER_REQUEST))
        part = pairs[start : start + size]
        requests.append([QueryProductPair(marketplace, pair.query, pair.product) for pair in part])
        start += size
    return requests


def _warming(requests: Sequence[list[QueryProductPair]]) -> list[list[QueryProductPair]]:
    """Some whole requests, and the single pairs that are timed afterwards: their shapes are then known."""
    return [*requests[:8], *(request[:1] for request in requests[:_SINGLE_REQUESTS])]


async def _engine(store: Path, requests: Sequence[list[QueryProductPair]], seconds: float) -> dict[str, float]:
    """The engine in this process, with what the server would take: `auto`, and no cache of encoded texts."""
    settings = load_settings(model_store=store, encoded_text_bytes=0)
    scorer = load_scorer(store, options=settings.engine)
    batching = MicroBatching()
    try:
        for request in _warming(requests):
            await batching.score(scorer, request)
        single = []
        for number in range(_SINGLE_REQUESTS):
            started = time.perf_counter()
            await batching.score(scorer, requests[number][:1])
            single.append(time.perf_counter() - started)

        async def score(request: list[QueryProductPair]) -> int:
            await batching.score(scorer, request)
            return len(request)

        rate = await _closed_loop(score, requests, seconds)
    finally:
        batching.close()
    return {"pairs_per_second": rate, "single_p50_seconds": statistics.median(single)}


async def _closed_loop(score: Any, requests: Sequence[list[QueryProductPair]], seconds: float) -> float:
    """Pairs a second with so many requests always under way."""
    end = time.perf_counter() + seconds
    places = iter(range(10**9))
    done = 0

    async def client() -> None:
        nonlocal done
        while time.perf_counter() < end:
            # Not in one statement: that would read `done` before it waits.
            pairs = await score(requests[next(places) % len(requests)])
            done += pairs

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(_CONCURRENCY)))
    return done / (time.perf_counter() - started)


@contextmanager
def _server(store: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    environment = {
        **os.environ,
        "MODEL_STORE": str(store),
        "CACHE_FOLDER": str(store / "benchmark-cache"),
        "PORT": "0",
        "ENCODED_TEXT_BYTES": "0",
        "LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "service", "serve"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("ready: "):
                raise RuntimeError(f"the service is {line.strip()}")
            yield line.split()[1], process
        finally:
            process.terminate()


async def _served(
    address: str, process: int, requests: Sequence[list[QueryProductPair]], seconds: float
) -> dict[str, Any]:
    bodies = {id(request): _body(request) for request in requests}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:

        async def score(request: list[QueryProductPair]) -> Answered:
            started = time.perf_counter()
            answer = await client.post("/score", json=bodies[id(request)])
            return Answered(answer.status_code, time.perf_counter() - started, len(request))

        async def scored(request: list[QueryProductPair]) -> int:
            answered = await score(request)
            return answered.pairs if answered.status == httpx.codes.OK else 0

        for request in _warming(requests):
            await client.post("/score", json=_body(request))
        single = []
        for number in range(_SINGLE_REQUESTS):
            body = _body(requests[number][:1])
            started = time.perf_counter()
            await client.post("/score", json=body)
            single.append(time.perf_counter() - started)
        capacity = await _closed_loop(scored, requests, seconds)
        loads = []
        for load in track(LOADS, description="offered load"):
            answers = await _open_loop(score, requests, load * capacity, seconds)
            loads.append({"load": load, **_figures(answers, seconds), "resident_mb": _resident(process)})
    return {
        "saturated_pairs_per_second": capacity,
        "single_p50_seconds": statistics.median(single),
        "loads": loads,
    }


async def _open_loop(
    score: Any, requests: Sequence[list[QueryProductPair]], pairs_per_second: float, seconds: float
) -> list[Answered]:
    """Send requests at times drawn from a Poisson process, whether or not earlier ones are answered."""
    generator = np.random.default_rng(1)
    mean = sum(PAIRS_PER_REQUEST) / len(PAIRS_PER_REQUEST)
    started, due, place = time.perf_counter(), 0.0, 0
    tasks: list[asyncio.Task[Answered]] = []
    while due < seconds:
        delay = started + due - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        tasks.append(asyncio.create_task(score(requests[place % len(requests)])))
        place += 1
        due += generator.exponential(mean / pairs_per_second)
    return list(await asyncio.gather(*tasks))


def _figures(answers: Sequence[Answered], seconds: float) -> dict[str, float]:
    accepted = sorted(answer.seconds for answer in answers if answer.status == httpx.codes.OK)
    refused = [answer for answer in answers if answer.status in (429, 503)]
    pairs = sum(answer.pairs for answer in answers if answer.status == httpx.codes.OK)
    refusals = sorted(answer.seconds for answer in refused)
    return {
        "requests": len(answers),
        "pairs_per_second": pairs / seconds,
        "p50_ms": 1000 * _quantile(accepted, 0.5),
        "p95_ms": 1000 * _quantile(accepted, 0.95),
        "p99_ms": 1000 * _quantile(accepted, 0.99),
        "refused_share": len(refused) / len(answers),
        "refusal_p50_ms": 1000 * _quantile(refusals, 0.5),
        "other_statuses": len(answers) - len(accepted) - len(refused),
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _body(request: Sequence[QueryProductPair]) -> dict[str, Any]:
    return {
        "write_cache": False,
        "pairs": [
            {
                "marketplace": pair.marketplace,
                "query": pair.query,
                "product": {"id": pair.product.id, "title": pair.product.title},
            }
            for pair in request
        ],
    }


def _resident(process: int) -> float:
    """Resident memory in megabytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
