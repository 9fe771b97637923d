"""Computing in a thread that ends with it.

OpenMP gives every thread that computes its own team of workers. Once there are more of them in a process than
cores, their waiting for each other goes through the kernel, and every operator of every thread gets slower
(measured: half the rate). So what computes once, as loading a model, must leave no team behind: the thread that
scores is then the only one that has one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


def in_own_thread(call: Callable[[], _Result]) -> _Result:
    """The result of `call`, or its exception, from a thread that has ended."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="computing-once") as thread:
        return thread.submit(call).result()
