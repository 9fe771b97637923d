from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import pytest

from model_store.errors import InputError, OverloadedError
from service.fill.options import FillOptions
from service.fill.report.report import FillReport
from service.jobs.job import FillRequest, Job
from service.jobs.queue import JobQueue, run_in_thread_loop

pytestmark = pytest.mark.anyio


class Work:
    """Jobs that do nothing until they are told how to end."""

    def __init__(self, most_waiting: int = 5, kept: int = 10) -> None:
        self.ends: dict[str, asyncio.Future[FillReport]] = {}
        self.ended: list[Job] = []
        self.scored: list[int] = []
        self.queue = JobQueue(self._run, most_waiting, kept, self.ended.append)

    async def _run(self, job: Job) -> FillReport:
        self.ends[job.id] = asyncio.get_running_loop().create_future()
        return await self.ends[job.id]

    def runs(self, job: Job) -> bool:
        return job.id in self.ends

    def submitted(self, marketplace: str = "us") -> Job:
        job = Job(FillRequest(marketplace, ("a.tsv",), (), FillOptions()), self.scored.append)
        self.queue.submit(job)
        return job


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


async def test_jobs_of_a_marketplace_follow_each_other_in_their_order() -> None:
    work = Work()
    jobs = [work.submitted() for _ in range(3)]
    other = work.submitted("es")
    assert [job.state for job in (*jobs, other)] == ["running", "waiting", "waiting", "running"]
    for place, job in enumerate(jobs):
        await until(partial(work.runs, job))
        assert [one.state for one in jobs[place + 1 :]] == ["waiting"] * (2 - place)
        work.ends[job.id].set_exception(InputError("no such file"))
        await until(partial(getattr, job, "has_ended"))
    assert [(job.state, str(job.error)) for job in jobs] == [("failed", "no such file")] * 3
    assert other.state == "running"
    await work.queue.close()


async def test_what_was_not_foreseen_fails_the_job_alone(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    first, second = work.submitted(), work.submitted()
    await until(lambda: first.id in work.ends)
    work.ends[first.id].set_exception(ZeroDivisionError())
    await until(lambda: second.id in work.ends)
    assert (first.state, second.state) == ("failed", "running")
    assert f"job {first.id} failed" in caplog.text
    await work.queue.close()


async def test_a_job_that_is_cancelled_before_its_first_step_lets_the_next_one_run() -> None:
    work = Work()
    first, second = work.submitted(), work.submitted()
    assert work.queue.cancel(first)
    assert first.state == "cancelling"
    await until(lambda: second.id in work.ends)
    assert (first.state, first.report, first.error) == ("cancelled", None, None)
    await work.queue.close()


async def test_closing_stops_what_runs_and_what_waits() -> None:
    work = Work()
    jobs = [work.submitted(), work.submitted(), work.submitted("es")]
    await work.queue.close()
    assert [job.state for job in jobs] == ["cancelled"] * 3
    assert sorted(job.id for job in work.ended) == sorted(job.id for job in jobs)
    assert (work.queue.running(), work.queue.waiting()) == ([], [])


async def test_too_many_are_refused_and_the_oldest_forgotten() -> None:
    work = Work(most_waiting=1, kept=1)
    first, second = work.submitted(), work.submitted()
    with pytest.raises(OverloadedError, match="JOBS_WAITING"):
        work.submitted()
    assert work.queue.cancel(second)
    assert not work.queue.find("unknown")
    assert work.queue.find(second.id) is second
    work.queue.cancel(first)
    await until(lambda: first.has_ended)
    assert work.queue.all() == [first]
    assert work.queue.cancel(first)


async def test_the_result_comes_from_another_thread() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    assert await run_in_thread_loop(work) != threading.get_ident()


async def test_errors_come_through() -> None:
    async def work() -> None:
        await asyncio.to_thread(int, "no number")

    with pytest.raises(ValueError, match="no number"):
        await run_in_thread_loop(work)


async def test_cancelling_lets_it_clean_up() -> None:
    begun, cleaned = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(cleaned.set)

    task = asyncio.create_task(run_in_thread_loop(work))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


async def test_what_comes_to_its_end_all_the_same_has_a_result() -> None:
    begun = threading.Event()

    async def work() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done"
        return "never"

    task = asyncio.create_task(run_in_thread_loop(work))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    assert await task == "done"


async def test_it_does_not_hold_the_callers_loop_up() -> None:
    released = threading.Event()

    async def work() -> bool:
        return released.wait(30)

    task = asyncio.create_task(run_in_thread_loop(work))
    await asyncio.sleep(0)
    released.set()
    assert await task


@pytest.mark.parametrize(
    "surprise", [SystemExit(2), KeyboardInterrupt(), StopIteration(), MemoryError()], ids=repr
)
async def test_a_job_that_would_end_the_process_fails_and_the_next_runs(surprise: BaseException) -> None:
    async def fail() -> FillReport:
        raise surprise

    ended: list[Job] = []
    queue = JobQueue(lambda _: run_in_thread_loop(fail), 5, 5, ended.append)
    jobs = [Job(FillRequest("us", ("a.tsv",), (), FillOptions()), list[int]().append) for _ in range(2)]
    for job in jobs:
        queue.submit(job)
    await until(lambda: len(ended) == 2)
    assert [job.state for job in jobs] == ["failed", "failed"]
    await queue.close()


async def test_metrics_that_fail_hold_no_job_up() -> None:
    def fail(job: Job) -> None:
        raise ValueError("a label that is none")

    async def done() -> FillReport:
        raise InputError("no such file")

    queue = JobQueue(lambda _: done(), 5, 5, fail)
    jobs = [Job(FillRequest("us", ("a.tsv",), (), FillOptions()), list[int]().append) for _ in range(3)]
    for job in jobs:
        queue.submit(job)
    await until(lambda: all(job.has_ended for job in jobs))
    await queue.close()
