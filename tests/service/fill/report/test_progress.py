from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from service.fill.report import progress
from service.fill.report import progress as rate
from service.fill.report.progress import FillProgress, FillRate
from service.fill.report.report import FillCounts

HALF = FillCounts(rows=1500, scored=1500, kept=300)


def shown(*, terminal: bool, total: int = 1000, read: int = 500) -> str:
    """What a fill shows that was updated twice."""
    output = StringIO()
    bar = FillProgress("es", Console(file=output, force_terminal=terminal, width=120))
    bar.start(total)
    bar.enter("scoring")
    bar.update(FillCounts(), 0)
    bar.update(HALF, read)
    bar.stop()
    return output.getvalue()


def test_a_terminal_shows_a_bar_with_pairs_rate_and_share() -> None:
    text = shown(terminal=True)
    assert "fill es" in text
    assert "50%" in text
    assert "1,500 pairs" in text
    assert "pairs/s, 20.0% kept" in text


def test_elsewhere_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(terminal=False) == ""
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    first, second = shown(terminal=False).splitlines()
    assert first.startswith("fill es: 0 pairs, ")
    assert second.startswith("fill es: 1,500 pairs, ")
    assert second.endswith(" 20.0% kept, 0 s left")


@pytest.mark.parametrize("terminal", [True, False])
def test_empty_files_are_no_problem(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    assert "1,500 pairs" in shown(terminal=terminal, total=0, read=0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate, "time", clock)
    return clock


def test_the_rate_is_that_of_this_start(clock: Clock) -> None:
    measured = FillRate(1000)
    measured.begin(600, 400)
    clock.now += 10
    assert measured.pairs_per_second(900) == 30
    assert measured.seconds_left(600) == pytest.approx(20)
    assert measured.share_read(600) == 0.6


def test_before_anything_is_read_the_time_is_not_known(clock: Clock) -> None:
    assert FillRate(1000).seconds_left(0) is None
    assert FillRate(0).seconds_left(0) is None
    assert FillRate(0).share_read(0) == 1
