"""How a fill reports its progress, and the form of that on standard error."""

from __future__ import annotations

import sys
import time
from typing import IO, Literal, Protocol, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from model_store.output import NewsStream
from service.fill.report.report import FillCounts


class FillRate:
    """Measures from `begin` on: what was done before it, by an interrupted fill, took no time of this one.

    Args:
        total_bytes: of all files.
    """

    def __init__(self, total_bytes: int = 0) -> None:
        self._total_bytes = total_bytes
        self.begin(0, 0)

    def begin(self, scored: int, bytes_read: int) -> None:
        """So many pairs were scored and so many bytes read before."""
        self._started = time.monotonic()
        self._scored_before, self._bytes_before = scored, bytes_read

    def pairs_per_second(self, scored: int) -> float:
        """The rate, when so many are scored in all."""
        return (scored - self._scored_before) / self._seconds

    def seconds_left(self, bytes_read: int) -> float | None:
        """Until all is read, when so many bytes are; None where nothing can be said."""
        done = bytes_read - self._bytes_before
        if not self._total_bytes or done <= 0:
            return None
        return self._seconds * (self._total_bytes - bytes_read) / done

    def share_read(self, bytes_read: int) -> float:
        """Of all bytes."""
        return bytes_read / self._total_bytes if self._total_bytes else 1.0

    @property
    def _seconds(self) -> float:
        return max(time.monotonic() - self._started, 1e-9)


FillStage = Literal["preparing", "scoring", "verifying", "comparing", "flipping"]

_SECONDS_BETWEEN_LINES = 10.0


class Progress(Protocol):
    """Is told of everything by one thread."""

    def start(self, total_bytes: int) -> None:
        """The fill begins; its files have so many bytes."""

    def stop(self) -> None:
        """The fill has ended, one way or another."""

    def enter(self, stage: FillStage) -> None:
        """What the fill does from now on."""

    def begin(self, scored: int, bytes_read: int) -> None:
        """Where the fill resumes: the rate is that of what is scored from here."""

    def say(self, text: str) -> None:
        """Something happened that somebody should know of."""

    def update(self, counts: FillCounts, bytes_read: int) -> None:
        """What has been counted so far."""


def _news_console() -> Console:
    # It is None in a process that was started without one.
    return Console(stderr=True) if sys.stderr is None else Console(file=cast("IO[str]", NewsStream(sys.stderr)))


class FillProgress:
    """A live bar on a terminal; elsewhere a line every ten seconds. The bar measures bytes of the files."""

    def __init__(self, marketplace: str, console: Console | None = None) -> None:
        self._console = console or _news_console()
        self._marketplace = marketplace
        self._rate = FillRate()
        self._last_line = time.monotonic()
        self._progress = Bar(
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
        self._task = self._progress.add_task(marketplace, note="")

    def start(self, total_bytes: int) -> None:
        """The fill begins: show the bar of so many bytes."""
        self._rate = FillRate(total_bytes)
        self._progress.update(self._task, total=total_bytes)
        self._progress.start()

    def stop(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()

    def enter(self, stage: FillStage) -> None:
        """Show the stage beside the bar."""
        self._progress.update(self._task, note=stage)

    def begin(self, scored: int, bytes_read: int) -> None:
        """Measure the rate from here."""
        self._rate.begin(scored, bytes_read)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(
            f"fill {self._marketplace}: {text}", highlight=False, markup=False, emoji=False, soft_wrap=True
        )

    def update(self, counts: FillCounts, bytes_read: int) -> None:
        """Move the bar, or print a line now and then."""
        rate = self._rate.pairs_per_second(counts.scored)
        note = f"{counts.scored:,} pairs, {rate:,.0f} pairs/s, {counts.kept_share:.1%} kept"
        self._progress.update(self._task, completed=bytes_read, note=note)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            left = self._rate.seconds_left(bytes_read)
            note += "" if left is None else f", {left:.0f} s left"
            self._console.print(f"fill {self._marketplace}: {note}", highlight=False)
