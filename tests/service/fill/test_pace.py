from __future__ import annotations

import pytest

from service.fill import pace
from service.fill.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_the_rate_is_that_of_this_start(clock: Clock) -> None:
    measured = Pace(1000)
    measured.begin(600, 400)
    clock.now += 10
    assert measured.pairs_per_second(900) == 30
    assert measured.seconds_left(600) == pytest.approx(20)
    assert measured.share_read(600) == 0.6


def test_before_anything_is_read_the_time_is_not_known(clock: Clock) -> None:
    assert Pace(1000).seconds_left(0) is None
    assert Pace(0).seconds_left(0) is None
    assert Pace(0).share_read(0) == 1
