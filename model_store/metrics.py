"""Metrics of a scorer on labelled pairs that training and serving both need: ROC-AUC and the threshold."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from model_store.errors import InputError


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the probability that a positive scores above a negative, ties counting half.

    Args:
        labels: (N) 0 or 1.
        scores: (N), any monotone measure of relevance.

    Raises:
        InputError: only one class is there, or a score is no number.
    """
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        raise InputError(
            f"ROC-AUC needs both classes; {positives} of {len(labels)} pairs are relevant", field="label"
        )
    if not np.isfinite(scores).all():
        raise InputError("ROC-AUC needs finite scores; NaN or infinity found", field="score")
    relevant = np.asarray(labels) == 1
    return area_under_roc(scores[relevant], scores[~relevant])


def area_under_roc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The share of (positive, negative) pairs of scores in the right order, ties counting half.

    That is the rank-sum statistic with mean ranks for ties. It is a ratio of whole numbers, so that two scorers
    that order as many pairs right have the same figure to the last bit.
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).sum() / (2.0 * len(positive) * len(negative)))


class Threshold(BaseModel):
    """Where "highly relevant" begins: the lowest score that reaches the target precision on validation data.

    `threshold` and what follows from it are None where no score reaches it: nothing is then cached.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target_precision: float
    threshold: float | None
    precision: float | None
    recall: float | None
    kept_share: float | None
    rows: int
    positives: int


def highly_relevant_threshold(labels: np.ndarray, scores: np.ndarray, target_precision: float) -> Threshold:
    """The lowest score from which on, upwards, the target precision is reached.

    Args:
        labels: (N) 0 or 1.
        scores: (N) in [0, 1].
    """
    order = np.argsort(-scores, kind="stable")
    kept = np.arange(1, len(scores) + 1)
    found = np.cumsum(labels[order])
    last_of_tie = np.append(scores[order][1:] != scores[order][:-1], True)
    reaching = np.flatnonzero((found / kept >= target_precision) & last_of_tie)
    positives = int(labels.sum())
    place = int(reaching[-1]) if len(reaching) else None
    return Threshold(
        target_precision=target_precision,
        threshold=None if place is None else float(scores[order][place]),
        precision=None if place is None else float(found[place] / kept[place]),
        recall=None if place is None else float(found[place] / positives),
        kept_share=None if place is None else float(kept[place] / len(labels)),
        rows=len(labels),
        positives=positives,
    )
