from __future__ import annotations

import numpy as np
import pytest

from model_store.errors import InputError
from training.evaluation import highly_relevant_threshold, marketplace_metrics, roc_auc


def test_roc_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    assert roc_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])) == 0.75


def test_one_class_only_is_an_error_that_counts() -> None:
    with pytest.raises(InputError, match="needs both classes; 3 of 3 pairs are relevant"):
        roc_auc(np.ones(3), np.array([0.1, 0.2, 0.3]))


def test_the_interval_holds_the_value_and_narrows_with_data() -> None:
    generator = np.random.default_rng(0)

    def width(rows: int) -> float:
        labels = generator.integers(0, 2, rows)
        scores = labels + generator.normal(0, 1, rows)
        found = marketplace_metrics(labels, scores, labels.astype(float))
        assert found.untrained_roc_auc == 1.0
        assert found.roc_auc_low < found.roc_auc < found.roc_auc_high
        return found.roc_auc_high - found.roc_auc_low

    assert width(2000) < width(100) / 2


def test_the_threshold_is_the_lowest_that_reaches_the_target_precision() -> None:
    labels = np.array([1, 1, 0, 1, 0, 0])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    found = highly_relevant_threshold(labels, scores, 0.75)
    assert (found.threshold, found.precision, found.recall) == (0.6, 0.75, 1.0)
    assert highly_relevant_threshold(labels, scores, 0.9).threshold == 0.8


def test_equal_scores_stand_or_fall_together() -> None:
    found = highly_relevant_threshold(np.array([1, 0, 1]), np.array([0.5, 0.5, 0.4]), 0.9)
    assert found.threshold is None


def test_where_no_score_reaches_the_target_there_is_no_threshold() -> None:
    found = highly_relevant_threshold(np.array([0, 1]), np.array([0.9, 0.1]), 0.95)
    assert found.threshold is None
    assert found.recall is None
    assert (found.rows, found.positives) == (2, 1)
