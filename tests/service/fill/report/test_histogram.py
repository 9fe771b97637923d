from __future__ import annotations

import json
import math

import numpy as np
import pytest
from pydantic import ValidationError

from model_store.errors import ConfigurationError, RelevanceError
from service.fill.report.histogram import LONGEST_BAR, ScoreHistogram


def test_edges_belong_to_the_bin_above_and_one_to_the_last() -> None:
    edges = [place / 20 for place in range(21)]
    assert ScoreHistogram(threshold=0.5).with_scores(edges).counts == (*[1] * 19, 2)
    below = [float(np.nextafter(edge, 0)) for edge in edges[1:]]
    assert ScoreHistogram(threshold=0.5).with_scores(below).counts == (1,) * 20


def test_adding_in_parts_merging_and_adding_at_once_are_the_same() -> None:
    scores = np.random.default_rng(1).beta(0.5, 2, 10_000)
    at_once = ScoreHistogram(threshold=0.7).with_scores(scores)
    in_parts = ScoreHistogram(threshold=0.7)
    for part in np.array_split(scores, 7):
        in_parts = in_parts.with_scores(part.tolist())
    left = ScoreHistogram(threshold=0.7).with_scores(scores[:4000])
    right = ScoreHistogram(threshold=0.7).with_scores(scores[4000:])
    assert at_once == in_parts == left.merged(right)
    assert at_once.total == 10_000
    assert at_once.kept == int((scores >= 0.7).sum())


def test_histograms_of_different_thresholds_are_not_merged() -> None:
    with pytest.raises(ConfigurationError, match=r"thresholds 0\.5 and 0\.6"):
        ScoreHistogram(threshold=0.5).merged(ScoreHistogram(threshold=0.6))


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.01, 1.01])
def test_a_score_that_is_none_is_refused_and_nothing_of_its_batch_counts(score: float) -> None:
    histogram = ScoreHistogram(threshold=0.5)
    with pytest.raises(RelevanceError, match=f"1 of 3 scores are not between 0 and 1, the first is {score}"):
        histogram.with_scores([0.1, score, 0.9])
    assert histogram.total == 0


def test_it_reads_back_from_its_json() -> None:
    histogram = ScoreHistogram(threshold=0.66).with_scores([0.1, 0.7, 0.7])
    text = histogram.model_dump_json()
    assert ScoreHistogram.model_validate_json(text) == histogram
    assert json.loads(text)["kept"] == 2
    with pytest.raises(ValidationError):
        ScoreHistogram(threshold=0.5, counts=(1, 2))


def test_the_plot_has_a_bar_for_each_bin_and_marks_the_threshold() -> None:
    scores = [0.01] * 2000 + [0.52] * 1000 + [0.96]
    lines = ScoreHistogram(threshold=0.53).with_scores(scores).text().splitlines()
    assert len(lines) == 21
    assert lines[0] == "score      pairs   share"
    assert lines[1] == "0.00-0.05  2,000   66.6%  " + "#" * LONGEST_BAR
    assert lines[2] == "0.05-0.10      0    0.0%"
    assert lines[11] == f"0.50-0.55  1,000   33.3%  {'#' * 25}  < threshold 0.5300: 1 of 3,001 kept (0.0%)"
    assert lines[20] == "0.95-1.00      1    0.0%  #"


@pytest.mark.parametrize(("threshold", "line"), [(0.0, 1), (0.05, 2), (1.0, 20)])
def test_the_threshold_is_marked_in_its_bin(threshold: float, line: int) -> None:
    lines = ScoreHistogram(threshold=threshold).text().splitlines()
    assert [place for place, text in enumerate(lines) if "threshold" in text] == [line]
