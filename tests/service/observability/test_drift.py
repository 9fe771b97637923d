from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.engine.scorer import Scorer
from service.observability.drift import HALF_LIFE, MIN_SCORES, ScoreDrift, stability_index
from tests.support.service.running import exact_scorer


@pytest.fixture
def scorer(tiny_store: Path) -> Scorer:
    scorer = exact_scorer(tiny_store)
    histograms = {"us": [100] * 20, "es": [1900] + [5] * 19}
    scorer.manifest = scorer.manifest.model_copy(update={"score_histograms": histograms})
    return scorer


def test_the_index_is_the_sum_over_bins() -> None:
    expected, found = np.array([50.0, 50.0]), np.array([10.0, 30.0])
    by_hand = (0.25 - 0.5) * np.log(0.25 / 0.5) + (0.75 - 0.5) * np.log(0.75 / 0.5)
    assert stability_index(expected, found) == pytest.approx(by_hand)
    assert stability_index(expected, expected * 7) == 0


def test_scores_spread_as_before_have_none_and_others_much(scorer: Scorer) -> None:
    drift, generator = ScoreDrift(), np.random.default_rng(0)
    for _ in range(20):
        drift.note(scorer, "us", generator.uniform(size=500).tolist())
        drift.note(scorer, "es", generator.uniform(size=500).tolist())
    found = drift.indices(scorer)
    assert found["us"] < 0.02
    assert found["es"] > 1


def test_few_scores_say_nothing(scorer: Scorer) -> None:
    drift = ScoreDrift()
    drift.note(scorer, "us", [0.5] * (MIN_SCORES - 1))
    assert drift.indices(scorer) == {}
    drift.note(scorer, "us", [0.5])
    assert drift.indices(scorer)["us"] > 1


def test_what_is_long_ago_fades(scorer: Scorer) -> None:
    drift, generator = ScoreDrift(), np.random.default_rng(0)
    drift.note(scorer, "us", [1.0] * 5000)
    for _ in range(10):
        drift.note(scorer, "us", generator.uniform(size=HALF_LIFE).tolist())
    assert drift.indices(scorer)["us"] < 0.01


def test_a_marketplace_without_histogram_has_no_index(scorer: Scorer) -> None:
    drift = ScoreDrift()
    drift.note(scorer, "jp", [0.5] * 1000)
    assert drift.indices(scorer) == {}
