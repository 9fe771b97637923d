from __future__ import annotations

import io
import re

from rich.console import Console

from scripts.demo.journey import Journey, Part, Step
from scripts.demo.progress_line import ProgressLine
from tests.scripts.test_journey import Clock
from training.stages.progress import progress_listener, stage_progress

STEPS = [
    Step("learning us", (Part("us adapter", 100.0, "adapter", counted=True),)),
    Step("serving", (Part("starting", 20.0, scales=False),)),
]


def test_a_log_gets_a_line_a_step_and_one_every_ten_seconds() -> None:
    written, clock = io.StringIO(), Clock()
    line = ProgressLine(Journey(STEPS, clock), Console(file=written, width=200), clock)
    with line, progress_listener(line):
        with stage_progress("us adapter", 100, 0) as stage:
            for _ in range(100):
                clock.now += 0.25
                stage.advance({"cross-entropy": 0.5})
            with stage_progress("something else", 5, 0) as unknown:
                unknown.advance({})
        clock.now += 1
        line.over()
    lines = written.getvalue().splitlines()
    assert [text.partition(",")[0] for text in lines] == [
        "step 1 of 2: learning us",
        "step 1 of 2: learning us (adapter 40/100)",
        "step 1 of 2: learning us (adapter 80/100)",
        "step 2 of 2: serving",
    ]
    assert lines[0].endswith("2:00 left for all")
    # 40 expected seconds took 10, beside 10 that weigh as expected.
    pace = (10 + 10) / (10 + 40)
    left = 60 * (10 * pace + 10) / (10 + 40) + 20 * pace
    assert lines[1].endswith(f"4.0 steps/s, 0:{left:.0f} left for all")


def test_a_terminal_gets_one_live_line_and_what_is_to_be_read() -> None:
    written, clock = io.StringIO(), Clock()
    console = Console(file=written, width=80, force_terminal=True, color_system=None)
    with ProgressLine(Journey(STEPS, clock), console, clock) as line:
        line.say("version 1 is published")
        line.begin("us adapter", 0, 100, "steps")
        line.advance({}, 7)
        line.end()
    assert "version 1 is published\n" in written.getvalue()
    shown = [text for text in re.split("[\r\n]", written.getvalue()) if "step " in text]
    assert shown
    assert all(" left step " in text for text in shown)
