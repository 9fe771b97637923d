"""What `training evaluate` says of a version: ROC-AUC with its interval, average precision, counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from model_store.metrics import area_under_roc, roc_auc

BOOTSTRAP_SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class MarketplaceMetrics:
    """Quality on one marketplace; the interval is a 95 % bootstrap over pairs.

    `untrained_roc_auc` is that of the untrained encoder's cosine on the same pairs: what training must not lose.
    """

    pairs: int
    positives: int
    roc_auc: float
    roc_auc_low: float
    roc_auc_high: float
    average_precision: float
    untrained_roc_auc: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def marketplace_metrics(
    labels: np.ndarray, scores: np.ndarray, untrained: np.ndarray, seed: int = 0
) -> MarketplaceMetrics:
    """ROC-AUC with its bootstrap interval, average precision, counts.

    Args:
        untrained: (pairs) the untrained encoder's cosine.
    """
    low, high = bootstrap_interval(labels, scores, seed)
    return MarketplaceMetrics(
        pairs=len(labels),
        positives=int(labels.sum()),
        roc_auc=roc_auc(labels, scores),
        roc_auc_low=low,
        roc_auc_high=high,
        average_precision=float(average_precision_score(labels, scores)),
        untrained_roc_auc=roc_auc(labels, untrained),
    )


def bootstrap_interval(labels: np.ndarray, scores: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of the ROC-AUC: positives and negatives are resampled apart, so both always exist."""
    generator = np.random.default_rng(seed)
    positive, negative = scores[labels == 1], scores[labels == 0]
    areas = [
        area_under_roc(generator.choice(positive, len(positive)), generator.choice(negative, len(negative)))
        for _ in range(BOOTSTRAP_SAMPLES)
    ]
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)
