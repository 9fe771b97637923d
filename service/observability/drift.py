"""Whether live scores are spread as the validation scores were: the population stability index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from service.engine.scorer import Scorer

HALF_LIFE = 20_000
"""Scores after which an older one counts half."""

MIN_SCORES = 500
"""Scores of a marketplace before its index says anything."""

_SMALLEST_SHARE = 1e-4


class ScoreDrift:
    """Live scores of one version, by marketplace; scores of another one begin anew."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._counts: dict[str, np.ndarray] = {}
        self._noted: dict[str, int] = {}

    def note(self, scorer: Scorer, marketplace: str, scores: Sequence[float]) -> None:
        """Pairs of a marketplace were scored."""
        if scorer.model_version != self._version:
            self._version, self._counts, self._noted = scorer.model_version, {}, {}
        bins = len(scorer.manifest.score_histograms.get(marketplace, []))
        if not bins:
            return
        found, _ = np.histogram(scores, bins=bins, range=(0.0, 1.0))
        older = self._counts.get(marketplace, np.zeros(bins))
        self._counts[marketplace] = older * 0.5 ** (len(scores) / HALF_LIFE) + found
        self._noted[marketplace] = self._noted.get(marketplace, 0) + len(scores)

    def indices(self, scorer: Scorer) -> dict[str, float]:
        """The index of each marketplace with enough scores: below 0.1 little moved, above 0.25 much."""
        if scorer.model_version != self._version:
            return {}
        return {
            name: stability_index(np.array(scorer.manifest.score_histograms[name], dtype=np.float64), counts)
            for name, counts in self._counts.items()
            if self._noted[name] >= MIN_SCORES
        }


def stability_index(expected: np.ndarray, found: np.ndarray) -> float:
    """Sum over bins of (found - expected) * log(found / expected), both as shares of their sums."""
    before = np.maximum(expected / expected.sum(), _SMALLEST_SHARE)
    now = np.maximum(found / found.sum(), _SMALLEST_SHARE)
    return float(((now - before) * np.log(now / before)).sum())
