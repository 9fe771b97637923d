"""Progress of a fill on standard error."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from service.fill.report import FillCounts

_SECONDS_BETWEEN_LINES = 10.0


class FillProgress:
    """A live bar on a terminal; elsewhere a line every ten seconds. The bar measures bytes of the files."""

    def __init__(self, marketplace: str, total_bytes: int, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._marketplace = marketplace
        self._started = self._last_line = time.monotonic()
        self._scored_before = self._bytes_before = 0
        self._progress = Progress(
            TextColumn("fill {task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(marketplace, total=total_bytes, note="")

    def __enter__(self) -> FillProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, scored: int, bytes_read: int) -> None:
        """Say where the fill goes on: the rate is that of what is scored from here."""
        self._started = time.monotonic()
        self._scored_before, self._bytes_before = scored, bytes_read

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(f"fill {self._marketplace}: {text}", highlight=False, markup=False, soft_wrap=True)

    def update(self, counts: FillCounts, bytes_read: int) -> None:
        """Show what has been counted so far."""
        now = time.monotonic()
        rate = (counts.scored - self._scored_before) / max(now - self._started, 1e-9)
        note = f"{counts.scored:,} pairs, {rate:,.0f} pairs/s, {counts.kept_share:.1%} kept"
        self._progress.update(self._task, completed=bytes_read, note=note)
        if not self._console.is_terminal and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._console.print(
                f"fill {self._marketplace}: {note}{self._time_left(bytes_read, now)}", highlight=False
            )

    def _time_left(self, bytes_read: int, now: float) -> str:
        total = self._progress.tasks[self._task].total
        done = bytes_read - self._bytes_before
        if not total or done <= 0:
            return ""
        seconds = (now - self._started) * (total - bytes_read) / done
        return f", {seconds:.0f} s left"
