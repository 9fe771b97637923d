"""Look-ups without a network: the commands to send, and what their replies mean.

Both clients and the service drive these steps, so that sync and async cannot differ.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import cast

from model_store.errors import InputError
from model_store.text import checked_marketplace
from service.cache.answers import ActiveView, CacheAnswer, least_score
from service.cache.commands import Command, Row
from service.cache.generations import Generation
from service.cache.keys import active_key, entry_key, record_key, removed_key

Replies = Sequence[object]
Steps = Generator[list[Command], Replies, list[CacheAnswer]]

_MOST_ATTEMPTS = 5


class LookUps:
    """Remembers what is active in every marketplace for `remember_seconds`; 0 asks each time."""

    def __init__(self, remember_seconds: float) -> None:
        self._remember_seconds = remember_seconds
        self._views: dict[str, tuple[float, ActiveView]] = {}

    def steps(self, marketplace: str, queries: Sequence[str], min_score: float, limit: int | None) -> Steps:
        """Answers in the order of the queries, all from one generation.

        One ZREVRANGE for a query, all in one round trip. Where an entry is missing, the pointer is read again
        at once: if the generation was replaced, and may be gone, all queries are read from the new one.

        Raises:
            InputError: no marketplace's name, `min_score` outside [0, 1], or `limit` below 1.
        """
        _check(marketplace, min_score, limit)
        if not queries:
            return []
        least, last = least_score(min_score), -1 if limit is None else limit - 1
        remembered = self._remembered(marketplace)
        view = remembered or (yield from self._refreshed(marketplace))
        for _ in range(_MOST_ATTEMPTS):
            rows = yield from _rows(view, marketplace, queries, last)
            if all(rows):
                break
            current = yield from self._refreshed(marketplace)
            if current.generation == view.generation:
                view = current
                break
            view = current
        else:
            rows = yield from _rows(view, marketplace, queries, last)
        return [view.answer(found, least) for found in rows]

    def _remembered(self, marketplace: str) -> ActiveView | None:
        found = self._views.get(marketplace)
        if found is None or time.monotonic() - found[0] >= self._remember_seconds:
            return None
        return found[1]

    def _refreshed(self, marketplace: str) -> Generator[list[Command], Replies, ActiveView]:
        """Read the pointer; the record and the products off sale only if they changed."""
        asked_at = time.monotonic()
        pointer, change = yield [("GET", active_key(marketplace)), ("ZSCORE", removed_key(marketplace), "")]
        number = None if pointer is None else int(cast("bytes", pointer))
        latest = 0 if change is None else int(cast("float", change))
        known = self._views.get(marketplace, (0.0, ActiveView(None, 0, frozenset())))[1]
        generation, removed = known.generation, known.removed
        commands: list[Command] = []
        if number is not None and (generation is None or generation.number != number):
            commands.append(("GET", record_key(marketplace, number)))
        if latest != known.change:
            commands.append(("ZRANGE", removed_key(marketplace), 0, -1))
        replies = list((yield commands) if commands else ())
        if latest != known.change:
            removed = frozenset(name.decode() for name in cast("list[bytes]", replies.pop()) if name)
        if number is None:
            generation = None
        elif replies:
            generation = _record(replies[0])
        view = ActiveView(generation, latest, removed)
        self._views[marketplace] = (asked_at, view)
        return view


def _rows(
    view: ActiveView, marketplace: str, queries: Sequence[str], last: int
) -> Generator[list[Command], Replies, list[list[Row]]]:
    if view.generation is None:
        return [[] for _ in queries]
    number = view.generation.number
    commands: list[Command] = [
        ("ZREVRANGE", entry_key(marketplace, number, query), 0, last, "WITHSCORES") for query in queries
    ]
    return cast("list[list[Row]]", list((yield commands)))


def _record(reply: object) -> Generation | None:
    return None if reply is None else Generation.model_validate_json(cast("bytes", reply))


def _check(marketplace: str, min_score: float, limit: int | None) -> None:
    checked_marketplace(marketplace)
    if not (math.isfinite(min_score) and 0 <= min_score <= 1):
        raise InputError(f"{min_score!r} is no score; give one from 0 to 1", field="min_score")
    if limit is not None and limit < 1:
        raise InputError(f"{limit!r} products cannot be given; ask for at least 1", field="limit")


async def driven(steps: Steps, send: Callable[[list[Command]], Awaitable[Replies]]) -> list[CacheAnswer]:
    """Carry steps out with an asynchronous connection."""
    try:
        commands = next(steps)
        while True:
            commands = steps.send(await send(commands))
    except StopIteration as stop:
        return cast("list[CacheAnswer]", stop.value)
