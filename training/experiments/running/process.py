"""Every run in a process of its own: its memory, its seeds and its crash are its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from model_store.cli import CANNOT_BE_WRITTEN, INTERRUPTED, machine_problem
from model_store.errors import RelevanceError

# The server imports the libraries once; it never computes, so what it forks is as good as a new process.
_CONTEXT = multiprocessing.get_context("forkserver")


def start_process(
    work: Callable[..., None], arguments: tuple[object, ...], log: Path, threads: int
) -> ForkServerProcess:
    """Call `work(*arguments)` in a new process that ends when this one does.

    Args:
        work: a function of a module.
        log: what the process prints is appended to it.
        threads: that the process computes with.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    _CONTEXT.set_forkserver_preload([__name__, work.__module__])
    process = _CONTEXT.Process(target=_enter, args=(work, arguments, log, threads))
    process.start()
    return process


def exit_description(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    hint = ", which the system also sends when memory is short" if name == "SIGKILL" else ""
    return f"killed by {name}{hint}"


def _enter(work: Callable[..., None], arguments: tuple[object, ...], log: Path, threads: int) -> None:
    import torch

    os.setsid()  # Ctrl-C is for the process that started this one, which then ends it
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    os.close(descriptor)
    os.environ["COLUMNS"] = "160"  # a log's lines are not wrapped as a terminal's
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        work(*arguments)
    except RelevanceError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        sys.stderr.write(f"error: {machine_problem(error)}\n")
        sys.exit(CANNOT_BE_WRITTEN)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(INTERRUPTED)
