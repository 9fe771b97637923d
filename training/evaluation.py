"""Metrics of a scorer on labelled pairs: ROC-AUC with intervals, average precision, thresholds."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from model_store.errors import InputError

BOOTSTRAP_SAMPLES = 1000


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve.

    Raises:
        InputError: only one class is there.
    """
    positives = int(labels.sum())
    if positives in (0, len(labels)):
        raise InputError(
            f"ROC-AUC needs both classes; {positives} of {len(labels)} pairs are relevant", field="label"
        )
    return float(roc_auc_score(labels, scores))


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
        _area(generator.choice(positive, len(positive)), generator.choice(negative, len(negative)))
        for _ in range(BOOTSTRAP_SAMPLES)
    ]
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)


def _area(positive: np.ndarray, negative: np.ndarray) -> float:
    """Share of (positive, negative) pairs in the right order, ties counting half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).sum() / (2.0 * len(positive) * len(negative)))


@dataclass(frozen=True, slots=True)
class Threshold:
    """The lowest score at which the target precision is reached; None where no score reaches it."""

    target_precision: float
    threshold: float | None
    precision: float | None
    recall: float | None
    kept_share: float | None
    rows: int
    positives: int


def highly_relevant_threshold(labels: np.ndarray, scores: np.ndarray, target_precision: float) -> Threshold:
    """The threshold for "highly relevant" (design: lowest one that reaches the target precision)."""
    order = np.argsort(-scores, kind="stable")
    kept = np.arange(1, len(scores) + 1)
    found = np.cumsum(labels[order])
    last_of_tie = np.append(scores[order][1:] != scores[order][:-1], True)
    reaching = np.flatnonzero((found / kept >= target_precision) & last_of_tie)
    positives = int(labels.sum())
    if not len(reaching):
        return Threshold(target_precision, None, None, None, None, len(labels), positives)
    place = int(reaching[-1])
    return Threshold(
        target_precision=target_precision,
        threshold=float(scores[order][place]),
        precision=float(found[place] / kept[place]),
        recall=float(found[place] / positives),
        kept_share=float(kept[place] / len(labels)),
        rows=len(labels),
        positives=positives,
    )
