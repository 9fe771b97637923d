from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from model_store.errors import InputError
from model_store.metrics import highly_relevant_threshold, roc_auc

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=50)


@given(ROWS.filter(lambda rows: len({label for label, _ in rows}) == 2))
def test_it_is_scikit_learns_roc_auc_with_ties_too(rows: list[tuple[bool, int]]) -> None:
    labels, scores = np.array([label for label, _ in rows], dtype=int), np.array([score for _, score in rows])
    assert roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_it_is_the_share_of_pairs_in_the_right_order() -> None:
    assert roc_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])) == 0.75
    assert roc_auc(np.array([0, 1, 1]), np.array([0.5, 0.5, 0.9])) == 0.75, "a tie counts half"


def test_one_class_only_is_an_error_that_counts() -> None:
    with pytest.raises(InputError, match="needs both classes; 3 of 3 pairs are relevant"):
        roc_auc(np.ones(3), np.array([0.1, 0.2, 0.3]))


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_not_ranked(score: float) -> None:
    with pytest.raises(InputError, match="finite"):
        roc_auc(np.array([0, 1, 1]), np.array([0.1, score, 0.3]))


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
