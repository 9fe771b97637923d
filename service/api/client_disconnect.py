"""Work for a client that may leave, within the time that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from model_store.errors import DeadlineExceededError, InputError
from service import background

DEADLINE_HEADER = "X-Deadline-Seconds"

_Result = TypeVar("_Result")


class ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


async def for_client(request: Request, work: Coroutine[Any, Any, _Result], limit_seconds: float) -> _Result:
    """The result of `work`, which is cancelled when the client leaves or the time is over.

    Args:
        request: one whose body was read; it may shorten the time by `X-Deadline-Seconds`.
        limit_seconds: what the service allows.

    Raises:
        DeadlineExceededError: the time is over.
        ClientLeftError: the client is gone.
        InputError: the header is no number of seconds.
    """
    try:
        seconds = _deadline(request, limit_seconds)
    except InputError:
        work.close()
        raise
    task = asyncio.create_task(work, name="work for a client that has left")
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({task, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if leaving.done():
            leaving.result()
            raise ClientLeftError
        raise DeadlineExceededError(
            f"there was no answer within {seconds:g} seconds; ask for fewer pairs at once"
        )
    finally:
        leaving.cancel()
        if not task.done():
            await background.discard([task])


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _deadline(request: Request, limit_seconds: float) -> float:
    given = request.headers.get(DEADLINE_HEADER)
    if given is None:
        return limit_seconds
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise InputError("send a number of seconds above 0", field=DEADLINE_HEADER)
    return min(seconds, limit_seconds)
