"""Requests sent in a closed loop (so many always under way) and in an open one (at times drawn before)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx
import numpy as np

Request = TypeVar("Request")


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
