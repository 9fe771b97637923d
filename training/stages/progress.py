"""Progress of training stages: a bar on standard error, or whoever listens instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol

from rich.console import Console

from training.console import ProgressBar
from training.settings import IS_FIRST_PROCESS

_SMOOTHING = 0.9


class ProgressListener(Protocol):
    """Hears of one stage after another, from the thread that trains."""

    def begin(self, stage: str, done: int, total: int, unit: str) -> None:
        """A stage starts. `done` of its `total` units were done before it was interrupted."""

    def advance(self, measured: Mapping[str, float], amount: int) -> None:
        """So many more units are done; `measured` has the losses by name."""

    def validated(self, auc: float, best: float | None) -> None:
        """An epoch is over; `best` is None where it is too early for any to count."""

    def end(self) -> None:
        """The stage is over, by its end or by an error."""


_listener: ContextVar[ProgressListener | None] = ContextVar("progress listener", default=None)


@contextmanager
def progress_listener(listener: ProgressListener) -> Iterator[None]:
    """Within it, stages report to the listener and draw nothing themselves."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class stage_progress:  # noqa: N801 - used as a context manager
    """Reports one stage's progress to the listener in force, or else draws a `StageBar`."""

    def __init__(self, name: str, total: int, done: int, unit: str = "steps") -> None:
        self._listener: ProgressListener = _listener.get() or StageBar()
        self._name, self._total, self._done, self._unit = name, total, done, unit

    def __enter__(self) -> stage_progress:
        self._listener.begin(self._name, self._done, self._total, self._unit)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.end()

    def advance(self, measured: Mapping[str, float], amount: int = 1) -> None:
        """An optimiser step is done with these losses, or another amount of the unit."""
        self._listener.advance(measured, amount)

    def validated(self, auc: float, best: float | None) -> None:
        """An epoch is over; None for the best where it is too early for any to count."""
        self._listener.validated(auc, best)


class StageBar:
    """Shows a stage's rate, time left, losses and best validation ROC-AUC on standard error.

    On a terminal it is a live bar; elsewhere (a log file, a pipe) one line an epoch.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, quiet=not IS_FIRST_PROCESS)
        self._name = self._unit = self._auc = ""
        self._averages: dict[str, float] = {}
        self._progress = ProgressBar(self._console)

    def begin(self, stage: str, done: int, total: int, unit: str) -> None:
        """As in `ProgressListener`."""
        self._name, self._unit = stage, unit
        self._task = self._progress.add(stage, total=total, unit=unit, done=done)
        self._progress.start()

    def end(self) -> None:
        """As in `ProgressListener`."""
        self._progress.stop()

    def advance(self, measured: Mapping[str, float], amount: int) -> None:
        """As in `ProgressListener`."""
        for name, value in measured.items():
            old = self._averages.get(name, value)
            self._averages[name] = _SMOOTHING * old + (1 - _SMOOTHING) * value
        self._progress.update(self._task, advance=amount, note=self._note())

    def validated(self, auc: float, best: float | None) -> None:
        """As in `ProgressListener`."""
        self._auc = f"AUC {auc:.4f}" + ("" if best is None else f" (best {best:.4f})")
        self._progress.update(self._task, note=self._note())
        if not self._console.is_terminal:
            task = self._progress.tasks[self._task]
            left = f", {task.time_remaining:.0f} s left" if task.time_remaining is not None else ""
            done = f"{int(task.completed)}/{int(task.total or 0)} {self._unit}"
            self._console.print(f"{self._name}: {done}{left}, {self._note()}", highlight=False)

    def _note(self) -> str:
        losses = "  ".join(f"{name} {value:.3f}" for name, value in self._averages.items())
        return f"{losses}  {self._auc}"
