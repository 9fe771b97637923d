"""Progress over a whole plan: a bar on a terminal, a line for every finished run elsewhere."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from types import TracebackType

from rich.console import Console

from training.console import ProgressBar
from training.experiments.plan.planned_run import PlannedRun


class PlanProgress:
    """Says what is finished, at what rate, and how long the rest takes.

    The time left comes from finished runs of the same label, those of earlier calls included, and for a label
    that has none from the mean of all.
    """

    def __init__(self, console: Console, total: int, jobs: int) -> None:
        self._console, self._total, self._jobs = console, total, jobs
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._done = 0
        self._finished_here = 0
        self._started = time.monotonic()
        self._bar = ProgressBar(console)
        self._task = self._bar.add("runs", total=total, unit="")

    def __enter__(self) -> PlanProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def found(self, run: PlannedRun, seconds: float) -> None:
        """A run that an earlier call finished."""
        self._seconds[run.label].append(seconds)
        self._count()

    def finished(self, run: PlannedRun, seconds: float, outcome: str, left: Iterable[PlannedRun]) -> None:
        """A run that has just finished; `left` are those that have not."""
        self._seconds[run.label].append(seconds)
        self._finished_here += 1
        self._count()
        self._tell(f"{run.name}: {outcome}, {seconds:.0f} s", left)

    def failed(self, run: PlannedRun, reason: str, left: Iterable[PlannedRun]) -> None:
        """A run that ended without a result."""
        self._count()
        self._tell(f"{run.name}: failed, {reason}", left)

    def running(self, names: Iterable[str], left: Iterable[PlannedRun]) -> None:
        """What is being done now."""
        self._bar.update(self._task, note=f"{self._rate(left)} · {', '.join(names)}")

    def _count(self) -> None:
        self._done += 1
        self._bar.update(self._task, completed=self._done)

    def _tell(self, text: str, left: Iterable[PlannedRun]) -> None:
        self._console.print(
            f"{self._done}/{self._total} {text}; {self._rate(left)}", highlight=False, markup=False
        )

    def _rate(self, left: Iterable[PlannedRun]) -> str:
        minutes = (time.monotonic() - self._started) / 60
        rate = f"{self._finished_here / minutes:.1f} runs a minute, " if self._finished_here else ""
        return f"{rate}{duration_text(self._estimate(left))} left"

    def _estimate(self, left: Iterable[PlannedRun]) -> float | None:
        everything = [seconds for found in self._seconds.values() for seconds in found]
        if not everything:
            return None
        total = 0.0
        for run in left:
            known = self._seconds.get(run.label) or everything
            total += sum(known) / len(known)
        return total / self._jobs


def duration_text(seconds: float | None) -> str:
    """A time as a person says it."""
    if seconds is None:
        return "unknown time"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
