"""How a job gets on, for whoever asks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from service.fill.pace import Pace
from service.fill.report.progress import FillStage
from service.fill.report.report import FillCounts

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
        self._pace = Pace()
        self._scored_so_far = 0
        self.snapshot = ProgressSnapshot()

    def start(self, total_bytes: int) -> None:
        """As in `Progress`."""
        self._pace = Pace(total_bytes)

    def stop(self) -> None:
        """As in `Progress`."""

    def enter(self, stage: FillStage) -> None:
        """As in `Progress`."""
        self.snapshot = replace(self.snapshot, stage=stage)

    def begin(self, scored: int, bytes_read: int) -> None:
        """As in `Progress`."""
        self._scored_so_far = scored
        self._pace.begin(scored, bytes_read)

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
            share_read=round(self._pace.share_read(bytes_read), 4),
            pairs_per_second=round(self._pace.pairs_per_second(counts.scored), 1),
            seconds_left=self._pace.seconds_left(bytes_read),
        )
