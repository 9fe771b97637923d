"""Jobs wait for their turn, one of a marketplace runs at a time, and the last ones are remembered."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from model_store.errors import OverloadedError, RelevanceError
from service import background
from service.fill.report.report import FillReport
from service.jobs.job import Job, Outcome

_Result = TypeVar("_Result")


async def run_in_thread_loop(make: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """The result of the coroutine that `make` gives, or its exception.

    Cancelling the caller cancels the coroutine; this returns when it has cleaned up.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(_made(make))
    with ThreadPoolExecutor(1, thread_name_prefix="job") as thread:
        running = asyncio.ensure_future(background.in_thread(thread, lambda: _run_to_end(loop, task)))
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            # It may just have come to its end.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
            await asyncio.wait([running])
    running.result()
    if task.cancelled():
        raise asyncio.CancelledError
    error = task.exception()
    if error is not None:
        raise background.contained(error)
    return task.result()


async def _made(make: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    return await make()


def _run_to_end(loop: asyncio.AbstractEventLoop, task: asyncio.Task[_Result]) -> None:
    try:
        loop.run_until_complete(asyncio.wait([task]))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


_RETRY_SECONDS = 60
_log = logging.getLogger("service.jobs")


class JobQueue:
    """For one event loop.

    Args:
        run: does a job; cancelling it stops the job.
        most_waiting: jobs that may wait, of all marketplaces together.
        kept: jobs that have ended and are remembered.
        ended: is told of each job that has ended.
    """

    def __init__(
        self,
        run: Callable[[Job], Coroutine[Any, Any, FillReport]],
        most_waiting: int,
        kept: int,
        ended: Callable[[Job], None],
    ) -> None:
        self._run = run
        self._most_waiting = most_waiting
        self._kept = kept
        self._ended = ended
        self._jobs: dict[str, Job] = {}
        self._history: deque[Job] = deque()
        self._tasks: dict[str, asyncio.Task[FillReport]] = {}

    def submit(self, job: Job) -> None:
        """Run a job when its turn has come.

        Raises:
            OverloadedError: too many wait.
        """
        is_free = job.request.marketplace not in self._tasks
        if not is_free and len(self.waiting()) >= self._most_waiting:
            raise OverloadedError(
                f"{self._most_waiting} jobs wait already (JOBS_WAITING); post this one again when one has ended",
                _RETRY_SECONDS,
            )
        self._jobs[job.id] = job
        if is_free:
            self._start(job)

    def all(self) -> list[Job]:
        """Jobs that wait, run, or ended lately, the newest first."""
        return list(reversed(self._jobs.values()))

    def find(self, name: str) -> Job | None:
        """The job of an id, if it is remembered."""
        return self._jobs.get(name)

    def waiting(self) -> list[Job]:
        """Those whose turn has not come, in the order of their turns."""
        return [job for job in self._jobs.values() if job.state == "waiting"]

    def running(self) -> list[Job]:
        """Those that are being done."""
        return [job for job in self._jobs.values() if job.state in ("running", "cancelling")]

    def cancel(self, job: Job) -> bool:
        """Stop a job, of which nothing stays then: not in the cache, and no checkpoint.

        Returns:
            False if it is too late: it has ended, or readers are about to see what it made.
        """
        if job.state == "waiting":
            self._end(job, "cancelled")
            return True
        if job.state != "running" or (job.filling is not None and not job.filling.forget()):
            return job.state in ("cancelling", "cancelled")
        job.state = "cancelling"
        self._tasks[job.request.marketplace].cancel()
        return True

    async def close(self) -> None:
        """Stop what runs, each at its last checkpoint: the same job, posted again, goes on from there."""
        for job in self.waiting():
            self._end(job, "cancelled")
        tasks = list(self._tasks.values())
        for job in self.running():
            _log.info("job %s is stopped because the service ends; post it again to resume it", job.id)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _start(self, job: Job) -> None:
        job.start()
        task = asyncio.create_task(self._run(job), name=f"job {job.id}")
        self._tasks[job.request.marketplace] = task
        task.add_done_callback(lambda task: self._finish(job, task))

    def _finish(self, job: Job, task: asyncio.Task[FillReport]) -> None:
        error = None if task.cancelled() else task.exception()
        marketplace = job.request.marketplace
        del self._tasks[marketplace]
        if task.cancelled():
            self._end(job, "cancelled")
        elif error is None:
            job.report = task.result()
            self._end(job, "succeeded")
        else:
            if not isinstance(error, RelevanceError):
                background.report("fill job", error, f"job {job.id}")
            self._end(job, "failed", error)
        following = next((one for one in self.waiting() if one.request.marketplace == marketplace), None)
        if following:
            self._start(following)

    def _end(self, job: Job, outcome: Outcome, error: BaseException | None = None) -> None:
        job.end(outcome, error)
        _log.info("job %s has %s", job.id, outcome if error is None else f"failed: {error}")
        with background.supervised("noting a job that has ended"):
            self._ended(job)
        self._history.append(job)
        if len(self._history) > self._kept:
            del self._jobs[self._history.popleft().id]
