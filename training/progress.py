"""Progress bars of training stages: rate, time left, losses, best validation ROC-AUC."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from training.process_rank import IS_FIRST_PROCESS

_SMOOTHING = 0.9


class stage_progress:  # noqa: N801 - used as a context manager
    """Shows one stage's progress on standard error.

    On a terminal it is a live bar; elsewhere (a log file, a pipe) one line an epoch.
    """

    def __init__(self, name: str, total: int, done: int, unit: str = "steps") -> None:
        self._console = Console(stderr=True, quiet=not IS_FIRST_PROCESS)
        self._name, self._unit = name, unit
        self._averages: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(name, total=total, completed=done, note="", rate="")
        self._auc = ""

    def __enter__(self) -> stage_progress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, measured: dict[str, float], amount: int = 1) -> None:
        """An optimiser step is done with these losses, or another amount of the unit."""
        for name, value in measured.items():
            old = self._averages.get(name, value)
            self._averages[name] = _SMOOTHING * old + (1 - _SMOOTHING) * value
        speed = self._progress.tasks[self._task].speed
        self._progress.update(
            self._task,
            advance=amount,
            note=self._note(),
            rate=f"{speed:.1f} {self._unit}/s" if speed else "",
        )

    def validated(self, auc: float, best: float | None) -> None:
        """An epoch is over; None for the best where it is too early for any to count."""
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
