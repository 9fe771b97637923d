"""Opens the cache; reads and writes the entries of queries: product ids with scores, or "nothing relevant"."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from model_store.query_normalisation import NORMALISATION_VERSION
from service.cache.generations import DEFAULT_KEPT, Generation, Generations, entry_key_of
from service.cache.keys import TimeToLive, entry_key
from service.cache.look_ups import SCORE_SCALE, CacheAnswer, LookUps, driven
from service.cache.removed_products import RemovedProducts
from service.cache.server.commands import Script
from service.cache.server.connection import CacheConnection
from service.cache.server.embedded import EmbeddedValkey
from service.settings import ServiceSettings

DEFAULT_CAP = 128
"""Above this a sorted set becomes a skip list, at three times the memory."""

_MERGE_ENTRY = Script.from_file("merge_entry.lua")


@dataclass(slots=True)
class QueryScores:
    """Newly scored products of one query: those to keep with their scores, and those that are not relevant."""

    query: str
    kept: dict[str, float] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)

    def add(self, product_id: str, score: float, highly_relevant: bool) -> None:
        """Note one product; of a product scored twice the last score counts."""
        if highly_relevant:
            self.kept[product_id] = score
            self.dropped.discard(product_id)
        else:
            self.kept.pop(product_id, None)
            self.dropped.add(product_id)


@dataclass(frozen=True, slots=True)
class MergeOutcome:
    """What merging into one entry did: is it new, by how much did it grow, which ids did the cap remove."""

    created: bool
    growth: int
    removed_by_cap: frozenset[str]


class CacheStore:
    """The cache of all marketplaces. Every method raises CacheUnavailableError when the server is away."""

    def __init__(
        self,
        connection: CacheConnection,
        cap: int = DEFAULT_CAP,
        kept_generations: int = DEFAULT_KEPT,
        life: TimeToLive | None = None,
    ) -> None:
        self.connection = connection
        self.generations = Generations(connection, kept_generations, life.seconds if life else None)
        self.removed = RemovedProducts(connection)
        self.cap = cap
        self.life = life
        self._look_ups = LookUps(remember_seconds=0)

    async def read(
        self, marketplace: str, query: str, *, min_score: float = 0.0, limit: int | None = None
    ) -> CacheAnswer:
        """The products of a query, best first, equal scores in the descending order of ids (see `read_many`)."""
        return (await self.read_many(marketplace, [query], min_score=min_score, limit=limit))[0]

    async def read_many(
        self, marketplace: str, queries: Sequence[str], *, min_score: float = 0.0, limit: int | None = None
    ) -> list[CacheAnswer]:
        """Answers in the order of the queries, all from the generation that is active now.

        Raises:
            InputError: as `LookUps.steps`.
        """
        return await driven(self._look_ups.steps(marketplace, queries, min_score, limit), self.connection.send)

    async def merge(self, generation: Generation, entries: Sequence[QueryScores]) -> list[MergeOutcome]:
        """Merge newly scored products into a generation; outcomes in the order of `entries`.

        Each query is merged by one script: an entry never holds more products than the cap, nor products
        beside the "nothing relevant" marker, whoever writes at the same time.
        """
        calls = [
            (key, self._arguments(key, entry))
            for entry in entries
            for key in [entry_key_of(generation, entry.query)]
        ]
        replies = await self.connection.run_script(_MERGE_ENTRY, calls)
        return [_outcome(cast("list[int | bytes]", reply)) for reply in replies]

    async def purge_query(self, marketplace: str, query: str) -> int:
        """Forget a query in all generations but one that is being filled; returns how many had it.

        Raises:
            UnreadableRecordError: it is forgotten, and a record cannot be read.
        """
        found, unreadable = await self.generations.listed(marketplace)
        numbers, _ = await self.generations.built(marketplace)
        keys = [entry_key_of(generation, query) for generation in found if generation.state != "building"]
        # By which rule a generation was written whose record nobody can read is unknown: by each of them.
        for number in set(numbers) - {generation.number for generation in found}:
            keys += [entry_key(marketplace, number, query, rule) for rule in range(1, NORMALISATION_VERSION + 1)]
        count = await self.connection.delete_all(keys)
        if unreadable:
            raise unreadable[0]
        return count

    async def purge_products(self, marketplace: str, ids: Sequence[str]) -> int:
        """Take products off sale; returns how many entries they were taken out of, each product counted.

        Who writes from now on leaves them out, a fill that runs takes them out before its flip, and when this
        returns no generation holds them that readers see or that a rollback could bring back.

        Raises:
            UnreadableRecordError: they are taken out, and a record cannot be read.
        """
        await self.removed.add(marketplace, ids)
        built, unreadable = await self.generations.built(marketplace)
        count = await self.removed.take_out(marketplace, ids, built)
        if unreadable:
            raise unreadable[0]
        return count

    async def restore_products(self, marketplace: str, ids: Sequence[str]) -> None:
        """Let products be cached again, as they are on sale again; the next fill brings them back."""
        await self.removed.forget(marketplace, ids)

    def _arguments(self, key: str, entry: QueryScores) -> list[str | int]:
        life = self.life.milliseconds(key) if self.life else 0
        arguments: list[str | int] = [self.cap, life, len(entry.kept)]
        for product_id, score in entry.kept.items():
            arguments += [round(score * SCORE_SCALE), product_id]
        return arguments + sorted(entry.dropped)


def _outcome(reply: list[int | bytes]) -> MergeOutcome:
    created, growth, *removed = reply
    return MergeOutcome(bool(created), int(growth), frozenset(cast("bytes", name).decode() for name in removed))


@asynccontextmanager
async def opened_cache(settings: ServiceSettings) -> AsyncIterator[CacheStore]:
    """The cache while the context lasts; an external server need not be up.

    Raises:
        ConfigurationError: REDIS_URL is no URL, or CACHE_FOLDER cannot be written.
        CacheUnavailableError: the embedded server does not start.
    """
    embedded = None
    if settings.redis_url is None:
        # Not on a thread: if that were cancelled, nobody would leave the server that it starts.
        embedded = EmbeddedValkey(settings.cache_folder)
    try:
        connection = CacheConnection.open(
            embedded.url if embedded else str(settings.redis_url),
            cluster=settings.redis_cluster and embedded is None,
            timeout_seconds=settings.redis_timeout_seconds,
        )
        try:
            yield CacheStore(
                connection,
                settings.cache_products_per_query,
                settings.cache_generations,
                _time_to_live(settings),
            )
        finally:
            await connection.close()
    finally:
        if embedded is not None:
            embedded.leave()


def _time_to_live(settings: ServiceSettings) -> TimeToLive | None:
    seconds = settings.cache_seconds_to_live
    return None if seconds is None else TimeToLive(seconds, settings.cache_jitter)
