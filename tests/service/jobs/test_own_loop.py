from __future__ import annotations

import asyncio
import threading

import pytest

from service.jobs.own_loop import in_own_loop

pytestmark = pytest.mark.anyio


async def test_the_result_comes_from_another_thread() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    assert await in_own_loop(work) != threading.get_ident()


async def test_errors_come_through() -> None:
    async def work() -> None:
        await asyncio.to_thread(int, "no number")

    with pytest.raises(ValueError, match="no number"):
        await in_own_loop(work)


async def test_cancelling_lets_it_clean_up() -> None:
    begun, cleaned = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(cleaned.set)

    task = asyncio.create_task(in_own_loop(work))
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

    task = asyncio.create_task(in_own_loop(work))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    assert await task == "done"


async def test_it_does_not_hold_the_callers_loop_up() -> None:
    released = threading.Event()

    async def work() -> bool:
        return released.wait(30)

    task = asyncio.create_task(in_own_loop(work))
    await asyncio.sleep(0)
    released.set()
    assert await task
