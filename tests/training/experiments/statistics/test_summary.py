from __future__ import annotations

import numpy as np
import pytest

from tests.support.training.made_up_results import made_up_result
from training.experiments.statistics.summary import (
    Estimate,
    average,
    backward_transfer,
    estimate,
    forgetting,
    forward_transfer,
    holm,
)

# Three steps on us, es, jp. us falls 0.90, 0.84, 0.86; es rises 0.70 (before), 0.80, 0.82; jp 0.65, 0.68, 0.75.
R = [
    {"us": 0.90, "es": 0.70, "jp": 0.65},
    {"us": 0.84, "es": 0.80, "jp": 0.68},
    {"us": 0.86, "es": 0.82, "jp": 0.75},
]
RESULT = made_up_result("hat", ["us", "es", "jp"], R, zero_shot={"us": 0.6, "es": 0.62, "jp": 0.66})


def test_metrics_by_hand() -> None:
    assert average(RESULT) == pytest.approx((0.86 + 0.82 + 0.75) / 3)
    assert backward_transfer(RESULT) == pytest.approx(((0.86 - 0.90) + (0.82 - 0.80)) / 2)
    assert forward_transfer(RESULT) == pytest.approx(((0.70 - 0.62) + (0.68 - 0.66)) / 2)
    assert forgetting(RESULT) == pytest.approx(((0.90 - 0.86) + (0.80 - 0.82)) / 2)


def test_forgetting_is_from_the_best_earlier_step_also_where_that_was_not_the_one_that_learnt_it() -> None:
    matrix = [{"us": 0.7, "es": 0.5}, {"us": 0.9, "es": 0.6}, {"us": 0.8, "es": 0.6}]
    result = made_up_result("hat", ["us", "es", "jp"], [{**row, "jp": 0.5} for row in matrix], zero_shot=0.5)
    assert forgetting(result) == pytest.approx(((0.9 - 0.8) + (0.6 - 0.6)) / 2)
    assert backward_transfer(result) == pytest.approx(((0.8 - 0.7) + (0.6 - 0.6)) / 2)


def test_transfer_has_no_meaning_without_steps_that_learn_on() -> None:
    joint = made_up_result("adapter_fusion_joint", ["us", "es", "jp"], R[-1:], is_continual=False)
    single = made_up_result("single_marketplace", ["us", "es", "jp"], R, is_continual=False)
    alone = made_up_result("hat", ["us"], [{"us": 0.9}])
    for result in (joint, single, alone):
        assert average(result) is not None
        assert [metric(result) for metric in (backward_transfer, forward_transfer, forgetting)] == [None] * 3


def test_a_missing_column_gives_no_forward_transfer_rather_than_that_of_the_others() -> None:
    result = made_up_result("hat", ["us", "es", "jp"], [{"us": 0.9}, R[1], R[2]])
    assert forward_transfer(result) is None
    assert backward_transfer(result) == backward_transfer(RESULT)


def test_the_interval_is_students() -> None:
    found = estimate([0.80, 0.82, 0.87])
    assert found is not None
    # s = 0.0360555, t(2, 97.5 %) = 4.302653, half width = t s / sqrt(3)
    assert found.n == 3
    assert found.mean == pytest.approx(0.83)
    assert found.std == pytest.approx(0.0360555, rel=1e-5)
    assert found.half_width == pytest.approx(4.302653 * 0.0360555 / 3**0.5, rel=1e-5)
    assert found.low == pytest.approx(0.740433, abs=1e-5)
    assert found.high == pytest.approx(0.919567, abs=1e-5)


def test_folds_that_share_training_rows_widen_the_interval() -> None:
    found, plain = estimate([0.80, 0.82, 0.87], folds=3), estimate([0.80, 0.82, 0.87])
    assert found is not None
    assert plain is not None
    assert found.half_width / plain.half_width == pytest.approx(((1 / 3 + 1 / 2) / (1 / 3)) ** 0.5)


def test_one_trial_has_no_interval_and_none_has_no_mean() -> None:
    assert estimate([0.8]) == Estimate(1, 0.8)
    assert estimate([]) is None


def test_the_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    found = [estimate(generator.normal(0.8, 0.01, 5).tolist()) for _ in range(2000)]
    covered = [one.low < 0.8 < one.high for one in found if one and one.low and one.high]
    assert len(covered) == 2000
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_p_values_are_adjusted_as_holm_says() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
