"""Where commands print (results on standard output, notes on standard error), and the one progress bar.

Of several processes of one training the first prints.
"""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from training.settings import IS_FIRST_PROCESS

results = Console(highlight=False, quiet=not IS_FIRST_PROCESS)
notes = Console(stderr=True, highlight=False, quiet=not IS_FIRST_PROCESS)


class ProgressBar(Progress):
    """A bar on a terminal, and nothing elsewhere.

        with ProgressBar(console) as bar:
            task = bar.add("Translating en-es", total=400, unit="texts")
            bar.advance(task, 100)

    Args:
        shown: False where the work is too short for a bar.
    """

    def __init__(self, console: Console, *, shown: bool = True) -> None:
        super().__init__(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeElapsedColumn(),
            _TimeLeftColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not (shown and console.is_terminal),
        )

    def add(self, description: str, *, total: int | None, unit: str, done: int = 0) -> TaskID:
        """Begin some work; `update(task, note=...)` shows a text at the end of its line.

        Args:
            total: None where it is not known.
            unit: of the amounts, as the rate names it; empty where neither rate nor time left say anything.
        """
        return self.add_task(description, total=total, completed=done, unit=unit, note="")


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit, speed = task.fields["unit"], task.speed
        if not speed or not unit:
            return Text("")
        return Text(f"{speed:,.0f} {unit}/s" if speed >= 100 else f"{speed:.1f} {unit}/s")


class _TimeLeftColumn(TimeRemainingColumn):
    def render(self, task: Task) -> Text:
        return Text("left ").append_text(super().render(task)) if task.fields["unit"] else Text("")
