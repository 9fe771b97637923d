"""One line of progress for the whole demo, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scripts.demo.journey import Journey

SECONDS_BETWEEN_LINES = 10.0
_BAR_WIDTH = 16


class ProgressLine:
    """Shows where a journey is.

    On a terminal it is one live line; elsewhere a line for each step, and then at most one every ten seconds. It
    is also the `ProgressListener` of the stages of training, each a part of the journey by its name.

    Args:
        clock: seconds of any beginning.
    """

    def __init__(
        self, journey: Journey, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.journey = journey
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock
        self._shown_step, self._shown_at = 0, clock()
        self._is_in_part = False
        self._live = Live(
            console=self._console, get_renderable=self._render, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> ProgressLine:
        if self._console.is_terminal:
            self._live.start()
        self._changed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Something that stays to be read."""
        self._console.print(text, soft_wrap=True, markup=False)

    def begin(self, stage: str, done: int, total: int, unit: str) -> None:
        """As in `ProgressListener`: a stage that is no part of the journey passes in silence."""
        self._is_in_part = self.journey.enter(stage)
        if self._is_in_part:
            self.journey.count(done, total, unit)
            self._changed()

    def advance(self, measured: Mapping[str, float], amount: int) -> None:  # noqa: ARG002 - losses have no room here
        """As in `ProgressListener`."""
        if self._is_in_part:
            self.journey.advance(amount)
            self._changed()

    def validated(self, auc: float, best: float | None) -> None:
        """As in `ProgressListener`."""

    def end(self) -> None:
        """As in `ProgressListener`."""
        if self._is_in_part:
            self._is_in_part = False
            self.over()

    def enter(self, part: str) -> None:
        """A part begins."""
        self.journey.enter(part)
        self._changed()

    def count(self, done: int, total: int, unit: str) -> None:
        """So much of the present part is done."""
        self.journey.count(done, total, unit)
        self._changed()

    def over(self) -> None:
        """The present part is done."""
        self.journey.over()
        self._changed()

    def finish_step(self, title: str) -> None:
        """A step is done."""
        self.journey.finish_step(title)
        self._changed()

    def _changed(self) -> None:
        if self._console.is_terminal:
            return
        step, now = self.journey.step, self._clock()
        if step == self._shown_step and now - self._shown_at < SECONDS_BETWEEN_LINES:
            return
        self._shown_step, self._shown_at = step, now
        self.say(f"{self.journey.text()}, {_minutes(self.journey.seconds_left())} left for all")

    def _render(self) -> RenderableType:
        elapsed, left = self.journey.elapsed, self.journey.seconds_left()
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(width=_BAR_WIDTH)
        line.add_column(no_wrap=True)
        line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=elapsed + left or 1.0, completed=elapsed, width=_BAR_WIDTH)
        line.add_row(bar, Text(f"{_minutes(left)} left"), Text(self.journey.text()))
        return line


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
