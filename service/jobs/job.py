"""One fill that was asked for over HTTP: what it is to do, how it gets on, how it ended."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from service.fill.fill_options import FillOptions
from service.fill.job import FillJob
from service.fill.report.report import FillReport
from service.jobs.job_progress import JobProgress

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
