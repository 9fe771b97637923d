"""What runs beside requests: tasks, threads and callbacks whose errors are never lost, and which live on.

    watching = background.start("following the store", background.repeat("following the store", 10, model.follow))
    scorer = await background.in_thread(executor, load)
    with background.supervised("announcing the model"):
        announce(model)

What such work raises without being expected is logged with its traceback and counted: `failures` is what the
metrics show. `watch_event_loop` and `watch_threads` do the same for everything that nobody supervises.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar

from model_store.errors import RelevanceError

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)
_lock = threading.Lock()
_failures: Counter[str] = Counter()


class UnexpectedError(Exception):
    """What is no `Exception` (a panic of a native library, an exit), and would end a thread or an event loop."""


def contained(error: BaseException) -> Exception:
    """The error as one that a task or a future can carry."""
    # A future takes no StopIteration: whoever awaits it would wait for ever.
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    carried = UnexpectedError(described(error))
    carried.__cause__ = error
    return carried


def described(error: BaseException) -> str:
    """One line: the message of an error of ours, else its class and message."""
    text = " ".join(" ".join(str(error).split()).splitlines())
    if isinstance(error, RelevanceError):
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def report(name: str, error: BaseException, what: str = "") -> None:
    """Log and count an error that the work of this name did not expect; the log says `what` exactly it was."""
    with _lock:
        _failures[name] += 1
    _log.error("%s failed: %s", what or name, described(error), exc_info=error)


def failures() -> dict[str, int]:
    """How often work of each name failed since the process began."""
    with _lock:
        return dict(_failures)


@contextmanager
def supervised(name: str) -> Iterator[None]:
    """One turn of some work, or one callback; what it raises is reported, and ends here.

    A cancelled task and Ctrl-C go through.
    """
    try:
        yield
    except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - reported
        report(name, error)


async def repeat(name: str, seconds: float, turn: Callable[[], Awaitable[object]]) -> None:
    """Take a turn every so many seconds until cancelled; one that fails is reported, and the next comes."""
    while True:
        await asyncio.sleep(seconds)
        with supervised(name):
            await turn()


def start(name: str, work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
    """A task; the caller keeps it, and it is reported if it fails, whether or not somebody awaits it."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report_failed)
    return task


def _report_failed(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        report(task.get_name(), error)


async def discard(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks whose results nobody waits for any more; returns when they have ended."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, RelevanceError):
            report(task.get_name(), error)


async def in_thread(executor: Executor, call: Callable[[], _Result]) -> _Result:
    """The result of a call in a thread of the executor, or what it raised, as an `Exception`."""

    def outcome() -> tuple[_Result, None] | tuple[None, Exception]:
        try:
            return call(), None
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            return None, contained(error)

    result, error = await asyncio.get_running_loop().run_in_executor(executor, outcome)
    if error is not None:
        raise error
    return result  # type: ignore[return-value] # without an error there is one


def watch_event_loop() -> None:
    """Report what a task or a callback of the running loop raised and nobody asked for."""
    asyncio.get_running_loop().set_exception_handler(_report_of_loop)


def _report_of_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, BaseException):
        report(str(context.get("message") or "the event loop"), error)
    else:
        loop.default_exception_handler(context)


def watch_threads() -> None:
    """Report what ends a thread, and what a finalizer raises, for the whole process."""
    threading.excepthook = _report_of_thread
    sys.unraisablehook = _report_unraisable


def _report_of_thread(hook: threading.ExceptHookArgs) -> None:
    if hook.exc_value is not None and not isinstance(hook.exc_value, SystemExit):
        report(f"thread {hook.thread.name if hook.thread else 'unknown'}", hook.exc_value)


def _report_unraisable(hook: sys.UnraisableHookArgs) -> None:
    if hook.exc_value is not None:
        report(f"cleaning {type(hook.object).__name__} up", hook.exc_value)
