"""Threads for what is slow and is not scoring, such as loading a model, so that the event loop never blocks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from service import background

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def in_own_thread(call: Callable[[], _Result]) -> _Result:
    """The result of `call`, or its exception, from a thread that has ended."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="computing-once") as thread:
        future = thread.submit(call)
        error = future.exception()
    if error is not None:
        raise background.contained(error)
    return future.result()


class WorkerThread:
    """Runs calls one after another, in the order in which they came."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loading")

    async def run(
        self, call: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        """The result of `call`, or its exception."""
        return await background.in_thread(self._executor, lambda: in_own_thread(lambda: call(*args, **kwargs)))

    def close(self) -> None:
        """Drop calls that wait and let the one that runs finish."""
        self._executor.shutdown(wait=True, cancel_futures=True)
