"""How the scores of a fill are spread, with its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from model_store.errors import ConfigurationError, RelevanceError

BINS = 20
LONGEST_BAR = 50

_EDGES = np.arange(BINS + 1) / BINS
_NO_COUNTS = (0,) * BINS


class ScoreHistogram(BaseModel):
    """Counts of scores in 20 bins of [0, 1]: a bin holds its lower edge, the last one also 1.

    It is added to by making a new one, so that a checkpoint can hold it as it was.
    """

    model_config = ConfigDict(frozen=True)

    threshold: float
    kept: int = Field(default=0, ge=0, description="scores at or above the threshold")
    counts: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=BINS, max_length=BINS)] = (
        _NO_COUNTS
    )

    @property
    def total(self) -> int:
        """All scores."""
        return sum(self.counts)

    def with_scores(self, scores: ArrayLike) -> ScoreHistogram:
        """This one and these scores, (n,).

        Raises:
            RelevanceError: a score is not a number of [0, 1], as a broken model gives.
        """
        values = np.asarray(scores, dtype=np.float64)
        wrong = values[~((values >= 0) & (values <= 1))]
        if wrong.size:
            raise RelevanceError(
                f"{wrong.size} of {values.size} scores are not between 0 and 1, the first is {wrong[0]}; "
                "the model version is broken, use another"
            )
        counts, _ = np.histogram(values, _EDGES)
        kept = int(np.count_nonzero(values >= self.threshold))
        return self._plus(kept, counts.tolist())

    def merged(self, other: ScoreHistogram) -> ScoreHistogram:
        """The scores of both.

        Raises:
            ConfigurationError: they have different thresholds.
        """
        if self.threshold != other.threshold:
            raise ConfigurationError(
                f"histograms with the thresholds {self.threshold} and {other.threshold} cannot be merged"
            )
        return self._plus(other.kept, other.counts)

    def text(self) -> str:
        """A plot of a line for each bin, with counts, shares and the threshold."""
        digits = max(len(f"{max(self.counts):,}"), len("pairs"))
        lines = [f"score      {'pairs':>{digits}}   share"]
        lines += [self._line(place, digits) for place in range(BINS)]
        return "\n".join(lines)

    def _plus(self, kept: int, counts: Sequence[int]) -> ScoreHistogram:
        sums = tuple(mine + theirs for mine, theirs in zip(self.counts, counts, strict=True))
        return ScoreHistogram(threshold=self.threshold, kept=self.kept + kept, counts=sums)

    def _line(self, place: int, digits: int) -> str:
        count = self.counts[place]
        bar = "#" * -(-LONGEST_BAR * count // max(*self.counts, 1))
        edges = f"{_EDGES[place]:.2f}-{_EDGES[place + 1]:.2f}"
        line = f"{edges}  {count:>{digits},}  {self._share(count):6.1%}  {bar}"
        return f"{line.rstrip()}{self._mark(place)}"

    def _mark(self, place: int) -> str:
        if place != min(int(np.searchsorted(_EDGES, self.threshold, side="right")) - 1, BINS - 1):
            return ""
        kept = f"{self.kept:,} of {self.total:,} kept ({self._share(self.kept):.1%})"
        return f"  < threshold {self.threshold:.4f}: {kept}"

    def _share(self, count: int) -> float:
        return count / max(self.total, 1)
