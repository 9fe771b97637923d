"""What runs beside requests never ends unseen, whatever it raises."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.errors import CacheUnavailableError, InputError
from service import background

pytestmark = pytest.mark.anyio


class PanicError(BaseException):
    """As what a native library raises, and `except Exception` does not catch."""


SURPRISES = [
    Exception("data did not match any variant"),
    KeyError("model"),
    MemoryError(),
    StopIteration(),
    SystemExit(3),
    PanicError("index out of bounds"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("surprise", SURPRISES, ids=lambda error: type(error).__name__)
async def test_a_turn_that_fails_is_reported_and_the_next_comes(
    surprise: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"looking {type(surprise).__name__}"
    turns, later = 0, asyncio.Event()

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise surprise
        later.set()

    task = background.start(name, background.repeat(name, 0, turn))
    async with asyncio.timeout(10):
        await later.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert background.failures()[name] == 1
    assert f"{name} failed: " in caplog.text
    assert type(surprise).__name__ in caplog.text
    assert caplog.records[0].exc_info


@pytest.mark.parametrize("surprise", SURPRISES, ids=lambda error: type(error).__name__)
async def test_what_a_thread_raises_is_the_callers(surprise: BaseException, pool: ThreadPoolExecutor) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - its text is looked at
            await background.in_thread(pool, raising(surprise))
    assert background.described(surprise) in background.described(caught.value)
    assert await background.in_thread(pool, lambda: 7) == 7


async def test_a_task_that_fails_is_reported_though_nobody_awaits_it() -> None:
    async def fail() -> None:
        raise LookupError("nothing there")

    before = background.failures().get("forgotten", 0)
    await asyncio.wait([background.start("forgotten", fail())])
    await asyncio.sleep(0)
    assert background.failures()["forgotten"] == before + 1


async def test_the_loop_reports_its_callbacks_and_its_tasks(caplog: pytest.LogCaptureFixture) -> None:
    background.watch_event_loop()
    loop = asyncio.get_running_loop()
    loop.call_soon(raising(ValueError("in a callback")))

    async def fail() -> None:
        raise ValueError("in a task")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    await asyncio.sleep(0)
    assert "ValueError: in a callback" in caplog.text
    assert "ValueError: in a task" in caplog.text


def test_a_thread_that_dies_is_reported(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr("sys.unraisablehook", lambda _: None)
    background.watch_threads()
    thread = threading.Thread(target=raising(PanicError("in a thread")), name="counting")
    thread.start()
    thread.join()
    assert background.failures()["thread counting"] == 1
    assert "PanicError: in a thread" in caplog.text


async def test_what_is_discarded_ends_and_only_what_nobody_foresaw_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(error: Exception | None) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            if error:
                raise error

    tasks = [asyncio.create_task(work(error)) for error in (None, InputError("no"), ValueError("surprise"))]
    await asyncio.sleep(0)
    await background.discard(tasks)
    assert [task.done() for task in tasks] == [True] * 3
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "ValueError: surprise" in caplog.text


async def test_a_cancelled_turn_is_no_failure() -> None:
    before = background.failures()
    with pytest.raises(asyncio.CancelledError), background.supervised("stopping"):
        raise asyncio.CancelledError
    assert background.failures() == before


@given(st.text())
def test_a_description_is_one_line(text: str) -> None:
    assert len(background.described(ValueError(text)).splitlines()) == 1
    assert background.described(CacheUnavailableError("gone\nfor good")) == "gone for good"
