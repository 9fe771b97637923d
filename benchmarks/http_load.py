"""The running server under closed and open load: throughput, latency and refusals against what is offered."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
from rich.progress import track

from benchmarks.encoders import judged_pairs, name_of
from benchmarks.machine import machine, resident_megabytes
from model_store.product import QueryProductPair
from service.engine.batching.micro_batching import MicroBatching
from service.engine.options import bound_onednn_caches
from service.engine.versions.loading import load_scorer
from service.settings import load_settings
from training.data.sources import DataSource

Request = TypeVar("Request")

PAIRS_PER_REQUEST = (1, 4, 8, 16, 32)
LOADS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5, 2.0, 3.0)
_CLIENTS = 16
"""Always under way when saturated: several batches wait, and none is refused."""
_ROUNDS = 5
_SINGLE_REQUESTS = 60
Pairs = list[QueryProductPair]


@dataclass(frozen=True, slots=True)
class Answered:
    """One request: its status, its seconds, its pairs."""

    status: int
    seconds: float
    pairs: int


Send = Callable[[Request], Awaitable[Answered]]


async def closed_loop(
    send: Send[Request], requests: Sequence[Request], clients: int, seconds: float
) -> tuple[list[Answered], float]:
    """The answers that came, with so many requests always under way, and in how many seconds they came."""
    end = time.perf_counter() + seconds
    answers: list[Answered] = []
    place = 0

    async def client() -> None:
        nonlocal place
        while time.perf_counter() < end:
            request = requests[place % len(requests)]
            place += 1
            answers.append(await send(request))

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return answers, time.perf_counter() - started


async def open_loop(
    send: Send[Request], requests: Sequence[Request], requests_per_second: float, seconds: float
) -> list[Answered]:
    """Send requests at times drawn from a Poisson process, whether or not earlier ones are answered."""
    generator = np.random.default_rng(1)
    started, due, place = time.perf_counter(), 0.0, 0
    tasks: list[asyncio.Future[Answered]] = []
    while due < seconds:
        delay = started + due - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        tasks.append(asyncio.ensure_future(send(requests[place % len(requests)])))
        place += 1
        due += generator.exponential(1 / requests_per_second)
    return list(await asyncio.gather(*tasks))


def accepted_pairs(answers: Sequence[Answered]) -> int:
    """Pairs of the requests that were answered with 200."""
    return sum(answer.pairs for answer in answers if answer.status == httpx.codes.OK)


def figures(answers: Sequence[Answered], seconds: float) -> dict[str, float]:
    """Throughput, latencies of accepted requests, and how many were refused."""
    accepted = sorted(answer.seconds for answer in answers if answer.status == httpx.codes.OK)
    refusals = sorted(answer.seconds for answer in answers if answer.status in (429, 503))
    return {
        "requests": len(answers),
        "pairs_per_second": accepted_pairs(answers) / seconds,
        "p50_ms": 1000 * _quantile(accepted, 0.5),
        "p95_ms": 1000 * _quantile(accepted, 0.95),
        "p99_ms": 1000 * _quantile(accepted, 0.99),
        "refused_share": len(refusals) / len(answers),
        "refusal_p50_ms": 1000 * _quantile(refusals, 0.5),
        "other_statuses": len(answers) - len(accepted) - len(refusals),
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


@dataclass(slots=True)
class _Figures:
    """Of each round, saturated and with single pairs."""

    pairs_per_second: list[float] = field(default_factory=list)
    single_seconds: list[float] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return {
            "pairs_per_second": statistics.median(self.pairs_per_second),
            "pairs_per_second_of_rounds": self.pairs_per_second,
            "single_p50_seconds": statistics.median(self.single_seconds),
        }


def http_benchmark(store: Path, data: DataSource, marketplace: str, seconds: float) -> dict[str, Any]:
    """Engine and saturated server in turns, single requests, and open loop from 10 % to 300 % of capacity."""
    bound_onednn_caches()
    return asyncio.run(_measured(store, data, marketplace, seconds))


async def _measured(store: Path, data: DataSource, marketplace: str, seconds: float) -> dict[str, Any]:
    requests = _requests(data, marketplace)
    engine, server = _Figures(), _Figures()
    with _server(store) as (address, process):
        async with _engine(store) as in_process, _client(address) as over_http:
            sides = ((engine, in_process), (server, over_http))
            for _, send in sides:
                await _warm_up(send, requests)
            generator_seconds = 0.0
            for _ in range(_ROUNDS):
                # In turns, so that the machine is the same for both.
                for request in requests[:_SINGLE_REQUESTS]:
                    for found, send in sides:
                        found.single_seconds.append((await send(request[:1])).seconds)
                for found, send in sides:
                    used = time.process_time()
                    answers, taken = await closed_loop(send, requests, _CLIENTS, seconds)
                    found.pairs_per_second.append(accepted_pairs(answers) / taken)
                    if found is server:
                        generator_seconds += (time.process_time() - used) / taken / _ROUNDS
        capacity = statistics.median(server.pairs_per_second)
        mean = sum(PAIRS_PER_REQUEST) / len(PAIRS_PER_REQUEST)
        loads = []
        async with _client(address) as send:
            for load in track(LOADS, description="offered load"):
                answered = await open_loop(send, requests, load * capacity / mean, seconds)
                loads.append(
                    {"load": load, **figures(answered, seconds), "resident_mb": resident_megabytes(process.pid)}
                )
    shares = [of / to for of, to in zip(server.pairs_per_second, engine.pairs_per_second, strict=True)]
    return {
        "benchmark": "http",
        "store": str(store),
        "data": name_of(data),
        "marketplace": marketplace,
        "pairs_per_request": PAIRS_PER_REQUEST,
        "seconds_per_load": seconds,
        "engine": engine.told(),
        "server": server.told(),
        "share_of_engine": statistics.median(shares),
        "share_of_engine_of_rounds": shares,
        "added_milliseconds": 1000
        * (statistics.median(server.single_seconds) - statistics.median(engine.single_seconds)),
        "cores_of_the_generator": generator_seconds,
        "loads": loads,
        "machine": machine(),
    }


def _requests(data: DataSource, marketplace: str) -> list[Pairs]:
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


async def _warm_up(send: Send[Pairs], requests: Sequence[Pairs]) -> None:
    """Some whole requests and single pairs, none of which is timed afterwards as a single one."""
    for request in [*requests[-8:], *(request[:1] for request in requests[-_SINGLE_REQUESTS:])]:
        await send(request)


@asynccontextmanager
async def _engine(store: Path) -> AsyncIterator[Send[Pairs]]:
    """The engine in this process, with what the server would take: `auto`, and no cache of encoded texts."""
    settings = load_settings(model_store=store, encoded_text_bytes=0)
    scorer = load_scorer(store, options=settings.engine)
    batching = MicroBatching()

    async def send(request: Pairs) -> Answered:
        started = time.perf_counter()
        await batching.score(scorer, request)
        return Answered(httpx.codes.OK, time.perf_counter() - started, len(request))

    try:
        yield send
    finally:
        batching.close()


@asynccontextmanager
async def _client(address: str) -> AsyncIterator[Send[Pairs]]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:

        async def send(request: Pairs) -> Answered:
            body = _body(request)
            started = time.perf_counter()
            answer = await client.post("/score", json=body)
            return Answered(answer.status_code, time.perf_counter() - started, len(request))

        yield send


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
