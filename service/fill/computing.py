"""Where a fill's batches are computed: on a thread of its own, or between the batches of requests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from service.engine.batching.micro_batching import MicroBatching


class Computing(Protocol):
    """Takes the steps of a computation, one batch each, on one thread."""

    async def run(self, steps: Iterator[None]) -> None:
        """Take all steps; cancelling the caller leaves out those that were not begun."""

    async def close(self) -> None:
        """Return when no step is being taken any more."""


def computing_for(batching: MicroBatching | None) -> Computing:
    """Between the batches of requests where there are any, else on a thread of its own."""
    return SharedComputing(batching) if batching else OwnComputing()


class OwnComputing:
    """A thread that does nothing else."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="filling")

    async def run(self, steps: Iterator[None]) -> None:
        """As in `Computing`."""
        cancelled = threading.Event()
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, _take, steps, cancelled)
        finally:
            cancelled.set()

    async def close(self) -> None:
        """As in `Computing`."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)


class SharedComputing:
    """The thread that computes requests' batches, which come first."""

    def __init__(self, batching: MicroBatching) -> None:
        self._batching = batching

    async def run(self, steps: Iterator[None]) -> None:
        """As in `Computing`."""
        while await self._batching.run(lambda: next(steps, self), gives_way=True) is None:
            pass

    async def close(self) -> None:
        """As in `Computing`; the thread is others'."""


def _take(steps: Iterator[None], cancelled: threading.Event) -> None:
    for _ in steps:
        if cancelled.is_set():
            return
