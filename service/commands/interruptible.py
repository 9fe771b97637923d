"""Runs an asynchronous command so that Ctrl-C and SIGTERM let it clean up. Needs neither the server nor torch."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TypeVar

import typer

from model_store.cli import INTERRUPTED
from service import background

_Result = TypeVar("_Result")


def run_to_end(command: Coroutine[None, None, _Result]) -> _Result:
    """The command's result.

    Raises:
        typer.Exit: it was interrupted, and has cleaned up.
    """
    try:
        return asyncio.run(_cancelled_by_sigterm(command))
    except (asyncio.CancelledError, KeyboardInterrupt) as error:
        typer.echo("interrupted; what the cache serves is whole; the same command can be given again", err=True)
        raise typer.Exit(INTERRUPTED) from error


async def _cancelled_by_sigterm(command: Coroutine[None, None, _Result]) -> _Result:
    background.watch_event_loop()
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await command
