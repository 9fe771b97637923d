"""What the engine tells of its work, for metrics and traces."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchFigures:
    """One batch: rows are pairs, or texts with two towers."""

    rows: int
    tokens: int
    padding_tokens: int
    seconds: float


class EngineObserver:
    """Takes no notice; whoever does overrides. Called by the engine's threads."""

    def tokenized(self, pairs: int, seconds: float) -> None:
        """A call's pairs were tokenized."""

    def queued(self, seconds: float) -> None:
        """A call waited so long between being tokenized and its first batch."""

    def computed(self, batch: BatchFigures) -> None:
        """A batch was computed."""
