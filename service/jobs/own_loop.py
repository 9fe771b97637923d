"""A coroutine on an event loop of its own, in a thread of its own: its work holds no request up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

_Result = TypeVar("_Result")


async def in_own_loop(make: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """The result of the coroutine that `make` gives, or its exception.

    Cancelling the caller cancels the coroutine; this returns when it has cleaned up.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(_made(make))
    with ThreadPoolExecutor(1, thread_name_prefix="job") as thread:
        running = asyncio.get_running_loop().run_in_executor(thread, _run_to_end, loop, task)
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            # It may just have come to its end.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
            await asyncio.wait([running])
    return running.result()


async def _made(make: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    return await make()


def _run_to_end(loop: asyncio.AbstractEventLoop, task: asyncio.Task[_Result]) -> _Result:
    try:
        return loop.run_until_complete(task)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
