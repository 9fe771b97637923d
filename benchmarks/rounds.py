"""Times several candidates in turn, so that a slow moment of the machine meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def median_seconds(candidates: Mapping[str, Callable[[], object]], rounds: int, title: str) -> dict[str, float]:
    """Median seconds of a call of each candidate over `rounds` rounds, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        for number in progress.track(range(rounds + 1), description=title):
            for name, call in candidates.items():
                started = time.perf_counter()
                call()
                if number:
                    times[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in times.items()}
