"""Fill, flip, rollback, scores of requests, purge and readers at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from service.cache import CacheAnswer
from service.cache.fill_lock import held_fill_lock
from service.cache.keys import entries_prefix, generation_of, marketplace_prefix
from service.cache.score_writer import ScoredPair, ScoreWriter
from service.cache.store import CacheStore, QueryScores
from tests.service.cache.conftest import CacheServer

pytestmark = pytest.mark.anyio

CAP = 8
QUERIES = [f"query {number}" for number in range(12)]
PURGED = [f"off {number}" for number in range(6)]


@dataclass
class Race:
    """Every product's id begins with the version that wrote it, or with `off` if it is taken off sale."""

    server: CacheServer
    seed: int
    fills: int
    done: asyncio.Event = field(default_factory=asyncio.Event)
    off_sale: set[str] = field(default_factory=set)
    answers: int = 0
    cached: int = 0
    version: int = 0

    async def run(self) -> None:
        await self._with_writer(self._fill)
        others = [self._score, self._score, self._purge, self._remove_generations, self._read_batches]
        await asyncio.gather(
            self._fill_again(),
            *(self._with_writer(other) for other in others),
            *(asyncio.to_thread(self._read_in_a_thread, number) for number in range(2)),
        )
        await self._with_writer(self._check_the_end)

    async def _with_writer(self, act: Callable[[CacheStore], Awaitable[None]]) -> None:
        connection = self.server.connect()
        try:
            await act(CacheStore(connection, CAP, kept_generations=3))
        finally:
            await connection.close()

    async def _fill_again(self) -> None:
        try:
            for _ in range(self.fills):
                await self._with_writer(self._fill)
        finally:
            self.done.set()

    async def _fill(self, cache: CacheStore) -> None:
        self.version += 1
        version, generator = self.version, random.Random(self.seed + self.version)
        async with held_fill_lock(cache.connection, "us", f"fill-{version}"):
            await cache.generations.remove_abandoned("us")
            built = await cache.generations.create("us", version, f"fill-{version}", "building")
            for _ in range(3):
                await cache.merge(built, [self._entry(query, version, generator) for query in QUERIES])
            counts = await cache.connection.counts(entries_prefix("us", built.number))
            assert counts.sets == len(QUERIES)
            active = await cache.generations.activate(built, counts.sets, counts.members)
            await cache.generations.remove_older(active)

    def _entry(self, query: str, version: int, generator: random.Random) -> QueryScores:
        names = [f"v{version}-{generator.randrange(20)}" for _ in range(5)] + generator.sample(PURGED, 2)
        scores = {name: generator.random() for name in names}
        return QueryScores(query, scores) if generator.random() < 0.8 else QueryScores(query, dropped=set(names))

    async def _score(self, cache: CacheStore) -> None:
        generator = random.Random(self.seed)
        while not self.done.is_set():
            version = self.version
            names = [f"v{version}-s{generator.randrange(9)}", generator.choice(PURGED)]
            pairs = [
                ScoredPair(QueryProductPair("us", query, Product(name, "t")), generator.random(), relevant)
                for query in generator.sample(QUERIES, 3)
                for name in names
                for relevant in [generator.random() < 0.8]
            ]
            report = await ScoreWriter(cache, version, frozenset()).write(pairs)
            self.cached += sum(report.cached)

    async def _purge(self, cache: CacheStore) -> None:
        for name in PURGED:
            await cache.purge_products("us", [name])
            self.off_sale.add(name)
            await cache.purge_query("us", "query 0")
        await self.done.wait()

    async def _remove_generations(self, cache: CacheStore) -> None:
        generator = random.Random(self.seed)
        while not self.done.is_set():
            try:
                if generator.random() < 0.3:
                    await cache.generations.rollback("us")
                else:
                    found = await cache.generations.all("us")
                    complete = [one for one in found if one.state == "complete"]
                    if complete:
                        await cache.generations.purge("us", generator.choice(complete).number)
            except InputError:
                # There is nothing to go back to, or the generation is read, or it is gone.
                await asyncio.sleep(0)

    async def _read_batches(self, cache: CacheStore) -> None:
        generator = random.Random(self.seed)
        while not self.done.is_set():
            gone = frozenset(self.off_sale)
            found = await cache.read_many("us", generator.sample(QUERIES, 5))
            assert len({answer.generation.number for answer in found if answer.generation}) == 1
            for answer in found:
                self._check(answer, gone)

    def _read_in_a_thread(self, number: int) -> None:
        generator = random.Random(self.seed + number)
        with self.server.client(remember_seconds=0.01) as client:
            while not self.done.is_set():
                for answer in client.lookup_many("us", generator.sample(QUERIES, 4)):
                    self._check(answer, frozenset())

    def _check(self, answer: CacheAnswer, gone: frozenset[str]) -> None:
        assert answer.generation is not None
        self.answers += 1
        names = [product.id for product in answer.products]
        assert len(names) <= CAP
        assert "" not in names
        assert {name.split("-")[0] for name in names} - set(PURGED) <= {f"v{answer.generation.model_version}"}
        assert not gone & set(names)

    async def _check_the_end(self, cache: CacheStore) -> None:
        kept = {one.number for one in await cache.generations.all("us")}
        async for batch in cache.connection.key_batches(marketplace_prefix("us")):
            for key in batch:
                assert generation_of(key, "us") in kept
                names = {name for name, _ in await cache.connection.sorted_set(key.decode())}
                assert 1 <= len(names) <= CAP
                assert names == {""} or "" not in names
                assert not names & set(PURGED)
        assert self.answers > 0
        assert self.cached > 0


@pytest.mark.parametrize(
    ("seed", "fills"),
    [(0, 15), *(pytest.param(seed, 300, marks=[pytest.mark.long]) for seed in (1, 2, 3))],
)
async def test_all_at_once(server: CacheServer, seed: int, fills: int) -> None:
    await Race(server, seed, fills).run()


async def test_a_score_is_not_said_to_be_cached_in_a_generation_that_was_left(server: CacheServer) -> None:
    """Flips between versions 1 and 2 while scores of version 1 are written."""
    connections = [server.connect() for _ in range(4)]
    caches = [CacheStore(connection) for connection in connections]
    done = asyncio.Event()

    async def flip() -> None:
        for number in range(60):
            built = await caches[0].generations.create("us", 1 + number % 2, "fill", "building")
            await caches[0].merge(built, [QueryScores("tea", {f"v{1 + number % 2}": 0.9})])
            await caches[0].generations.remove_older(await caches[0].generations.activate(built, 1, 1))
        done.set()

    outcomes = {False: 0, True: 0}

    async def write(cache: CacheStore) -> None:
        pair = ScoredPair(QueryProductPair("us", "tea", Product("v1 scored", "t")), 0.95, True)
        while not done.is_set():
            report = await ScoreWriter(cache, 1, frozenset()).write([pair])
            assert report.cached[0] != bool(report.notes)
            outcomes[report.cached[0]] += 1

    async def read() -> None:
        async with server.asynchronous(remember_seconds=0) as client:
            while not done.is_set():
                answer = await client.lookup("us", "tea")
                if answer.generation is not None and answer.products:
                    names = {product.id.split()[0] for product in answer.products}
                    assert names == {f"v{answer.generation.model_version}"}

    await asyncio.gather(flip(), *map(write, caches[1:]), read())
    assert all(outcomes.values())
    kept = {one.number for one in await caches[0].generations.all("us")}
    async for batch in connections[0].key_batches(marketplace_prefix("us")):
        assert {generation_of(key, "us") for key in batch} <= kept
    for connection in connections:
        await connection.close()
