from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from rich.console import Console

from training.stages.progress import StageBar, progress_listener, stage_progress


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []

    def begin(self, stage: str, done: int, total: int, unit: str) -> None:
        self.events.append(("begin", stage, done, total, unit))

    def advance(self, measured: Mapping[str, float], amount: int) -> None:
        self.events.append(("advance", dict(measured), amount))

    def validated(self, auc: float, best: float | None) -> None:
        self.events.append(("validated", auc, best))

    def end(self) -> None:
        self.events.append(("end",))


def test_a_listener_hears_of_a_stage_and_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    heard = Heard()
    with progress_listener(heard), stage_progress("es adapter", 10, 4) as progress:
        progress.advance({"cross-entropy": 0.5})
        progress.validated(0.9, None)
    assert heard.events == [
        ("begin", "es adapter", 4, 10, "steps"),
        ("advance", {"cross-entropy": 0.5}, 1),
        ("validated", 0.9, None),
        ("end",),
    ]
    assert capsys.readouterr() == ("", "")


def test_a_listener_hears_the_end_of_a_stage_that_failed_and_nothing_after_its_block() -> None:
    heard = Heard()
    with pytest.raises(FloatingPointError), progress_listener(heard), stage_progress("us fusion", 3, 0, "texts"):
        raise FloatingPointError
    assert [event[0] for event in heard.events] == ["begin", "end"]
    with stage_progress("us fusion", 3, 0):
        pass
    assert len(heard.events) == 2


def test_without_a_listener_a_log_gets_a_line_an_epoch() -> None:
    written = io.StringIO()
    bar = StageBar(Console(file=written, width=200))
    bar.begin("us adapter", 0, 4, "steps")
    bar.advance({"cross-entropy": 0.25}, 2)
    assert written.getvalue() == ""
    bar.validated(0.875, 0.9)
    bar.end()
    [line] = written.getvalue().splitlines()
    assert line.startswith("us adapter: 2/4 steps")
    assert "cross-entropy 0.250" in line
    assert line.endswith("AUC 0.8750 (best 0.9000)")
