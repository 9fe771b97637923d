from __future__ import annotations

import numpy as np
import pytest

from service.fill.generation.verification import RescoringError, check_rescored
from service.fill.report.sample import SampledPair

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


def test_the_rounding_of_another_batch_is_no_other_score() -> None:
    check_rescored(sample(), SCORES + 0.015)


@pytest.mark.parametrize("wrong", [0.2, 0.4442, float("nan")])
def test_another_score_is_refused_and_named(wrong: float) -> None:
    with pytest.raises(RescoringError, match=r"'query 1', product 'p1': the score was 0\.4000, and"):
        check_rescored(sample(), np.array([0.9, wrong, 0.6442, 0.1]))
