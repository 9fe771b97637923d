from __future__ import annotations

import pytest

from scripts.demo.journey import Journey, Part, Step
from scripts.demo.plan import EVALUATION, demo_steps, seconds_by_kind


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


STEPS = [
    Step("preparing", (Part("reading", 10.0),)),
    Step(
        "learning us",
        (Part("us adapter", 20.0, "adapter", counted=True), Part("us publishing", 5.0, "publishing")),
    ),
    Step(
        "learning es",
        (Part("es adapter", 20.0, "adapter", counted=True), Part("es publishing", 5.0, "publishing")),
    ),
    Step("starting the service", (Part("starting", 40.0, scales=False),)),
]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journey(clock: Clock) -> Journey:
    return Journey(STEPS, clock)


def test_the_time_left_is_that_of_all_steps(journey: Journey, clock: Clock) -> None:
    assert journey.seconds_left() == 100.0
    assert journey.text() == "step 1 of 4: preparing"
    clock.now += 4
    assert journey.seconds_left() == 96.0
    clock.now += 6
    journey.enter("us adapter")
    journey.count(0, 200, "steps")
    assert journey.seconds_left() == 90.0


def test_the_line_tells_the_count_and_the_rate(journey: Journey, clock: Clock) -> None:
    journey.enter("es adapter")
    journey.count(40, 1240, "steps")
    assert journey.text() == "step 3 of 4: learning es (adapter 40/1,240)"
    clock.now += 10
    journey.advance(80)
    assert journey.text() == "step 3 of 4: learning es (adapter 120/1,240), 8.0 steps/s"


def test_a_slower_machine_or_more_data_lengthen_training_only(journey: Journey, clock: Clock) -> None:
    """Ten seconds as expected are the beginning, and ten more are read before the first adapter."""
    clock.now += 10
    journey.enter("us adapter")
    journey.count(0, 100, "steps")
    clock.now += 30
    journey.advance(50)
    training = (20 + 30) / (20 + 10)
    adapter = (10 * training + 30) / (10 + 10)
    assert journey.seconds_left() == pytest.approx(30 * adapter + 10 * training + 40)
    clock.now += 30
    journey.advance(50)
    journey.over()
    training = (20 + 60) / (20 + 20)
    adapter = (10 * training + 60) / (10 + 20)
    assert journey.seconds_left() == pytest.approx(20 * adapter + 10 * training + 40)
    assert journey.seconds == {"reading": 10.0, "us adapter": 60.0}


def test_a_faster_machine_is_faster_at_everything(journey: Journey, clock: Clock) -> None:
    clock.now += 10
    journey.enter("us adapter")
    journey.count(0, 100, "steps")
    clock.now += 5
    journey.advance(100)
    journey.over()
    training = (20 + 5) / (20 + 20)
    adapter = (10 * training + 5) / (10 + 20)
    assert journey.seconds_left() == pytest.approx(20 * adapter + (10 + 40) * training)


def test_what_was_done_before_an_interruption_says_nothing_of_the_pace(journey: Journey, clock: Clock) -> None:
    clock.now += 10
    journey.enter("es adapter")
    journey.count(50, 100, "steps")
    assert journey.seconds_left() == pytest.approx(10 + 5 + 40)
    clock.now += 10
    journey.advance(50)
    journey.over()
    assert journey.seconds_left() == pytest.approx(5 + 40)


def test_a_step_is_finished_though_its_parts_were_passed_by(journey: Journey) -> None:
    journey.finish_step("learning us")
    assert journey.step == 3
    journey.finish_step("preparing")
    assert journey.step == 3
    assert not journey.enter("us adapter")
    journey.finish_step("starting the service")
    assert (journey.step, journey.seconds_left()) == (4, 0.0)
    journey.over()
    assert journey.text() == "step 4 of 4: starting the service"


def test_the_demo_has_a_step_for_each_marketplace_and_for_each_part_of_serving() -> None:
    steps = demo_steps(["us", "es", "jp"], baseline=False, anchors=False)
    assert [step.title for step in steps[:4]] == [
        "preparing data and encoder", "learning us", "learning es", "learning jp",
    ]  # fmt: skip
    assert len(steps) == 8
    assert [part.name for part in steps[1].parts] == ["us frozen layers", "us adapter", "us publishing"]
    assert "es fusion" in [part.name for part in steps[2].parts]
    with_anchors = demo_steps(["us"], baseline=False, anchors=True)[1].parts
    assert [part.name for part in with_anchors][:2] == ["us frozen layers", "us anchors frozen layers"]
    assert len(demo_steps(["us"], baseline=True, anchors=True)) == 7
    assert all(part.seconds > 0 for step in steps for part in step.parts)


def test_measured_seconds_are_kept_as_the_expected_ones_are() -> None:
    parts = {
        "reading": 3.0,
        EVALUATION: 2.0,
        "us adapter": 4.0,
        "es adapter": 6.0,
        "us anchors frozen layers": 7.0,
    }
    assert seconds_by_kind(parts) == {
        "reading": 3.0,
        EVALUATION: 2.0,
        "adapter": 5.0,
        "anchors frozen layers": 7.0,
    }
