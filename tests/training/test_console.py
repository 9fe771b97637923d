from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from training.console import ProgressBar


def drawn(*, terminal: bool, unit: str = "texts", shown: bool = True) -> str:
    console = Console(file=StringIO(), force_terminal=terminal, width=120)
    with ProgressBar(console, shown=shown) as bar:
        task = bar.add("Translating", total=400, unit=unit, done=100)
        bar.update(task, advance=300, note="of es")
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_what_is_done_and_the_time_left() -> None:
    text = drawn(terminal=True)
    assert "Translating" in text
    assert "400/400" in text
    assert "left" in text
    assert "of es" in text


def test_without_a_unit_there_is_no_time_left() -> None:
    assert "left" not in drawn(terminal=True, unit="")


@pytest.mark.parametrize(("terminal", "shown"), [(False, True), (True, False)])
def test_elsewhere_and_for_short_work_nothing_is_drawn(terminal: bool, shown: bool) -> None:
    assert "Translating" not in drawn(terminal=terminal, shown=shown)
