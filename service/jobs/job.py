"""One fill that was asked for over HTTP: what it is to do, how it gets on, how it ended."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from service.fill.job import FillJob
from service.fill.options import FillOptions
from service.fill.report.progress import FillRate, FillStage
from service.fill.report.report import FillCounts, FillReport

_log = logging.getLogger("service.jobs")


@dataclass(frozen=True, slots=True)
class ProgressSnapshot:
    """What is known at a moment; `note` is the last thing that happened which somebody should know of."""

    stage: FillStage = "preparing"
    counts: FillCounts = field(default_factory=FillCounts)
    share_read: float = 0.0
    pairs_per_second: float = 0.0
    seconds_left: float | None = None
    note: str | None = None


class JobProgress:
    """A `Progress` that keeps the newest state; one thread tells it, any may read it.

    Args:
        name: of the job, for the log.
        scored: is told how many more pairs are scored.
    """

    def __init__(self, name: str, scored: Callable[[int], None]) -> None:
        self._name = name
        self._scored = scored
        self._rate = FillRate()
        self._scored_so_far = 0
        self.snapshot = ProgressSnapshot()

    def start(self, total_bytes: int) -> None:
        """As in `Progress`."""
        self._rate = FillRate(total_bytes)

    def stop(self) -> None:
        """As in `Progress`."""

    def enter(self, stage: FillStage) -> None:
        """As in `Progress`."""
        self.snapshot = replace(self.snapshot, stage=stage)

    def begin(self, scored: int, bytes_read: int) -> None:
        """As in `Progress`."""
        self._scored_so_far = scored
        self._rate.begin(scored, bytes_read)

    def say(self, text: str) -> None:
        """As in `Progress`."""
        _log.info("job %s: %s", self._name, text)
        self.snapshot = replace(self.snapshot, note=text)

    def update(self, counts: FillCounts, bytes_read: int) -> None:
        """As in `Progress`."""
        self._scored(max(0, counts.scored - self._scored_so_far))
        self._scored_so_far = counts.scored
        self.snapshot = replace(
            self.snapshot,
            counts=counts.model_copy(),
            share_read=round(self._rate.share_read(bytes_read), 4),
            pairs_per_second=round(self._rate.pairs_per_second(counts.scored), 1),
            seconds_left=self._rate.seconds_left(bytes_read),
        )


Outcome = Literal["succeeded", "failed", "cancelled"]
JobState = Literal["waiting", "running", "cancelling"] | Outcome


@dataclass(frozen=True, slots=True)
class FillRequest:
    """What a job is to fill, and from what; `names` and `traffic_name` as they were given."""

    marketplace: str
    names: tuple[str, ...]
    paths: tuple[Path, ...]
    options: FillOptions
    traffic_name: str | None = None


@dataclass(eq=False, slots=True)
class Job:
    """For one event loop, but for `progress`.

    Args:
        request: what to do.
        scored: is told how many more pairs are scored.
    """

    request: FillRequest
    scored: Callable[[int], None]
    id: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}")
    state: JobState = "waiting"
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    report: FillReport | None = None
    error: BaseException | None = None
    progress: JobProgress = field(init=False)
    # Set once there is one to forget.
    filling: FillJob | None = None

    def __post_init__(self) -> None:
        self.progress = JobProgress(self.id, self.scored)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.ended_at is not None

    def start(self) -> None:
        """It runs from now on."""
        self.state, self.started_at = "running", datetime.now(UTC)

    def end(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """It has ended."""
        self.state, self.error = outcome, error
        self.ended_at, self.filling = datetime.now(UTC), None
