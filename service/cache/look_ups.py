"""Look-ups without a network: the commands to send, and what their replies mean.

Both clients and the service drive these steps, so that sync and async cannot differ.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple, cast

from model_store.errors import InputError
from model_store.text import checked_marketplace
from service.cache.generations import Generation, parsed_pointer, parsed_record
from service.cache.keys import active_key, entry_key, record_key, removed_key
from service.cache.server.commands import Command, Row

SCORE_SCALE = 10_000
"""Scores are kept as integers, score * 10^4: half the memory of floats."""

MARKER = ""
"""The member that says "scored, nothing relevant"."""

Status = Literal["relevant", "nothing_relevant", "never_scored", "expired"]


class CachedProduct(NamedTuple):
    """A highly relevant product; `score` in [0, 1] with four decimals."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class CacheAnswer:
    """What the cache knows of a query.

    `nothing_relevant`: products were scored for it, and none was highly relevant (or reaches `min_score`, or is
    still on sale). `never_scored`: the generation has no entry for it, or there is no generation. `expired`:
    no entry either, and the generation is older than the time to live, so that there may have been one.
    """

    status: Status
    products: tuple[CachedProduct, ...]
    generation: Generation | None


@dataclass(frozen=True, slots=True)
class ActiveView:
    """What a reader remembers of a marketplace: the generation to read and the products taken off sale."""

    generation: Generation | None
    change: int
    removed: frozenset[str]

    def answer(self, rows: Sequence[Row], least: float) -> CacheAnswer:
        """The answer that one query's rows give; `least` is the smallest kept integer score."""
        if not rows:
            return CacheAnswer(self._absence(), (), self.generation)
        products = [
            CachedProduct(_id(name), score / SCORE_SCALE) for name, score in rows if score >= least and name
        ]
        if self.removed:
            products = [product for product in products if product.id not in self.removed]
        return CacheAnswer("relevant" if products else "nothing_relevant", tuple(products), self.generation)

    def _absence(self) -> Status:
        expires_from = self.generation.expires_from if self.generation else None
        return "expired" if expires_from is not None and datetime.now(UTC) >= expires_from else "never_scored"


def least_score(min_score: float) -> float:
    """`min_score` as it is kept; rounding leaves 0.7 what it is."""
    return round(min_score * SCORE_SCALE, 6)


Replies = Sequence[object]
Steps = Generator[list[Command], Replies, list[CacheAnswer]]

_MOST_ATTEMPTS = 5
_NOTHING_KNOWN = ActiveView(None, 0, frozenset())
_NEVER_SCORED = CacheAnswer("never_scored", (), None)


class LookUps:
    """Remembers what is active in every marketplace for `remember_seconds`; 0 asks each time."""

    def __init__(self, remember_seconds: float) -> None:
        self._remember_seconds = remember_seconds
        self._views: dict[str, tuple[float, ActiveView]] = {}

    def steps(self, marketplace: str, queries: Sequence[str], min_score: float, limit: int | None) -> Steps:
        """Answers in the order of the queries, all from one generation.

        One ZREVRANGE for a query, all in one round trip; what is not remembered is read again in the same one, so
        that a generation that stays costs no second. Where an entry is missing, the pointer is read again at
        once: if the generation was replaced, and may be gone, all queries are read from the new one.

        Raises:
            InputError: no marketplace's name, `min_score` outside [0, 1], `limit` below 1, or a query that is
                no text.
            UnreadableRecordError: the record of the active generation is none of ours.
        """
        marketplace = _checked(marketplace, min_score, limit)
        _check_queries(queries)
        asked = [query for query in queries if _is_text(query)]
        if len(asked) < len(queries):
            found = iter((yield from self.steps(marketplace, asked, min_score, limit)))
            return [next(found) if _is_text(query) else _NEVER_SCORED for query in queries]
        if not queries:
            return []
        least, last = least_score(min_score), -1 if limit is None else limit - 1
        nothing: list[list[Row]] = [[] for _ in queries]
        view, is_recent = self._known(marketplace)
        expected, wanted = view.generation, _reads(view, marketplace, queries, last)
        if is_recent:
            rows = (yield from _rows(wanted)) or nothing
        else:
            view, rows = yield from self._refreshed(marketplace, wanted)
        for _ in range(_MOST_ATTEMPTS):
            if view.generation == expected:
                if all(rows):
                    break
                view, _ = yield from self._refreshed(marketplace, [])
                if view.generation == expected:
                    break
            expected, wanted = view.generation, _reads(view, marketplace, queries, last)
            rows = yield from _rows(wanted)
        return [view.answer(found, least) for found in rows or nothing]

    def _known(self, marketplace: str) -> tuple[ActiveView, bool]:
        """What was active when it was read last, and whether that is recent enough to go by."""
        read_at, view = self._views.get(marketplace, (-math.inf, _NOTHING_KNOWN))
        return view, time.monotonic() - read_at < self._remember_seconds

    def _refreshed(
        self, marketplace: str, beside: list[Command], attempts: int = _MOST_ATTEMPTS
    ) -> Generator[list[Command], Replies, tuple[ActiveView, list[list[Row]]]]:
        """Read the pointer, and the rows that `beside` asks for in the same round trip.

        The record and the products off sale are read only if they changed.
        """
        asked_at = time.monotonic()
        *rows, pointer, change = yield [
            *beside,
            ("GET", active_key(marketplace)),
            ("ZSCORE", removed_key(marketplace), ""),
        ]
        number = None if pointer is None else parsed_pointer(marketplace, cast("bytes", pointer))
        latest = 0 if change is None else int(cast("float", change))
        known = self._known(marketplace)[0]
        generation, removed = known.generation, known.removed
        commands: list[Command] = []
        if number is not None and (generation is None or generation.number != number):
            commands.append(("GET", record_key(marketplace, number)))
        if latest != known.change:
            commands.append(("ZRANGE", removed_key(marketplace), 0, -1))
        replies = list((yield commands) if commands else ())
        if latest != known.change:
            removed = frozenset(_id(name) for name in cast("list[bytes]", replies.pop()) if name)
        if number is None:
            generation = None
        elif replies:
            reply = replies[0]
            generation = None if reply is None else parsed_record(marketplace, number, cast("bytes", reply))
        if number is not None and generation is None and attempts > 1:
            # A rollback met the generation's removal; one of them gives way at once.
            return (yield from self._refreshed(marketplace, beside, attempts - 1))
        view = ActiveView(generation, latest, removed)
        self._views[marketplace] = (asked_at, view)
        return view, cast("list[list[Row]]", rows)


def _reads(view: ActiveView, marketplace: str, queries: Sequence[str], last: int) -> list[Command]:
    """One command a query; none where no generation is active."""
    if view.generation is None:
        return []
    number, rule = view.generation.number, view.generation.normalisation
    return [
        ("ZREVRANGE", entry_key(marketplace, number, query, rule), 0, last, "WITHSCORES") for query in queries
    ]


def _rows(wanted: list[Command]) -> Generator[list[Command], Replies, list[list[Row]]]:
    return cast("list[list[Row]]", list((yield wanted) if wanted else ()))


def _id(member: bytes) -> str:
    # One that is not UTF-8 is none of ours, and spoils no answer.
    return member.decode(errors="replace")


def _check_queries(queries: Sequence[str]) -> None:
    if isinstance(queries, str):
        raise InputError("give a list of queries", field="queries")
    for place, query in enumerate(queries):
        if not isinstance(query, str):
            raise InputError(f"{query!r:.100} is no text", field=f"queries[{place}]")


def _is_text(query: str) -> bool:
    """Whether it can be a key: raw bytes that are not UTF-8 come as lone surrogates, and cannot."""
    try:
        query.encode()
    except UnicodeEncodeError:
        return False
    return True


def _checked(marketplace: str, min_score: float, limit: int | None) -> str:
    name = checked_marketplace(marketplace)
    if not (math.isfinite(min_score) and 0 <= min_score <= 1):
        raise InputError(f"{min_score!r} is no score; give one from 0 to 1", field="min_score")
    if limit is not None and limit < 1:
        raise InputError(f"{limit!r} products cannot be given; ask for at least 1", field="limit")
    return name


async def driven(steps: Steps, send: Callable[[list[Command]], Awaitable[Replies]]) -> list[CacheAnswer]:
    """Carry steps out with an asynchronous connection."""
    try:
        commands = next(steps)
        while True:
            commands = steps.send(await send(commands))
    except StopIteration as stop:
        return cast("list[CacheAnswer]", stop.value)
