from __future__ import annotations

import numpy as np
import pytest

from service.fill.scored_sample import SampledPair
from service.fill.verification import RescoringError, check_rescored

SCORES = np.array([0.9, 0.4, 0.6442, 0.1])


def sample() -> list[SampledPair]:
    return [
        SampledPair(
            place=number,
            query=f"query {number}",
            product_id=f"p{number}",
            title="a lamp",
            brand="",
            color="",
            bullet_points="",
            description="",
            score=score,
        )
        for number, score in enumerate(SCORES.tolist())
    ]


@pytest.mark.parametrize("precision", ["float32", "bf16", "int8"])
def test_the_rounding_of_another_batch_is_no_other_score(precision: str) -> None:
    check_rescored(sample(), SCORES + 0.015, precision)


def test_in_int8_one_score_may_move_with_the_other_texts_of_its_batch() -> None:
    moved = SCORES + np.array([0.0, 0.0, 0.0442, 0.0])
    check_rescored(sample(), moved, "int8")
    with pytest.raises(RescoringError, match=r"'query 2', product 'p2': the score was 0\.6442, and 0\.6884 when"):
        check_rescored(sample(), moved, "bf16")


def test_in_int8_not_all_of_them_may() -> None:
    with pytest.raises(RescoringError, match="computed again"):
        check_rescored(sample(), SCORES - 0.05, "int8")


@pytest.mark.parametrize("wrong", [0.2, float("nan")])
def test_one_that_is_far_away_is_refused_and_named(wrong: float) -> None:
    with pytest.raises(RescoringError, match="'query 1', product 'p1'"):
        check_rescored(sample(), np.array([0.9, wrong, 0.6442, 0.1]), "int8")
