"""Where the time of a fill goes: its stages overlap, so their shares may add up to more than 1."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field

Stage = Literal["reading", "tokenising", "scoring", "writing"]
STAGES: tuple[Stage, ...] = get_args(Stage)

_Item = TypeVar("_Item")


class StageTime(BaseModel):
    """Time in which one stage was under way, in one thread or task or in several."""

    model_config = ConfigDict(frozen=True)

    seconds: float = Field(ge=0)
    share: float = Field(ge=0, le=1, description="share of the wall time")


class StageReport(BaseModel):
    """Wall time, and that of each stage."""

    model_config = ConfigDict(frozen=True)

    wall_seconds: float
    stages: dict[Stage, StageTime]

    def text(self) -> str:
        """A line for each stage."""
        return "\n".join(
            f"{name:<10}  {stage.seconds:10.1f} s  {stage.share:6.1%}" for name, stage in self.stages.items()
        )


@dataclass(slots=True)
class _Clock:
    under_way: int = 0
    began: float = 0.0
    seconds: float = 0.0

    def spent(self, now: float) -> float:
        return self.seconds + (now - self.began if self.under_way else 0.0)


class StageTimes:
    """Measures from its making on. Any thread or task may enter any stage, also one that is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.perf_counter()
        self._clocks: dict[Stage, _Clock] = {stage: _Clock() for stage in STAGES}

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """What is done within belongs to this stage."""
        clock = self._clocks[stage]
        self._enter(clock)
        try:
            yield
        finally:
            self._leave(clock)

    def add(self, stage: Stage, seconds: float) -> None:
        """Time that was spent elsewhere."""
        with self._lock:
            self._clocks[stage].seconds += seconds

    def iterated(self, stage: Stage, items: Iterable[_Item]) -> Iterator[_Item]:
        """The same items; the time that it takes to get them belongs to this stage."""
        iterator = iter(items)
        while True:
            with self.stage(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def report(self) -> StageReport:
        """So far; a stage under way counts up to now."""
        with self._lock:
            now = time.perf_counter()
            wall = now - self._started
            spent = {stage: min(clock.spent(now), wall) for stage, clock in self._clocks.items()}
        stages = {
            stage: StageTime(seconds=round(seconds, 3), share=round(seconds / wall, 4) if wall else 0.0)
            for stage, seconds in spent.items()
        }
        return StageReport(wall_seconds=round(wall, 3), stages=stages)

    def _enter(self, clock: _Clock) -> None:
        with self._lock:
            if not clock.under_way:
                clock.began = time.perf_counter()
            clock.under_way += 1

    def _leave(self, clock: _Clock) -> None:
        with self._lock:
            clock.under_way -= 1
            if not clock.under_way:
                clock.seconds += time.perf_counter() - clock.began
