from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from service.fill.report import progress
from service.fill.report.progress import FillProgress
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
