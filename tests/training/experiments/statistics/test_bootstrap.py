from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model_store.errors import InputError
from model_store.metrics import roc_auc
from tests.support.training.made_up_results import (
    US_ES,
    drawn_scores,
    group_of,
    made_up_result,
    write_drawn,
    write_run,
)
from training.experiments.running.run_result import SCORES, FinalScores
from training.experiments.statistics.bootstrap import bootstrap, replicate_areas

REPLICATES = 500


def test_replicate_areas_are_those_of_the_drawn_rows_with_ties() -> None:
    generator = np.random.default_rng(0)
    positive, negative = generator.integers(2, 7, 15).astype(float), generator.integers(0, 5, 11).astype(float)
    drawn = [(generator.integers(0, 15, 15), generator.integers(0, 11, 11)) for _ in range(20)]
    counts = [np.stack([np.bincount(d[k], minlength=n) for d in drawn]) for k, n in ((0, 15), (1, 11))]
    expected = [
        roc_auc(np.r_[np.ones(15), np.zeros(11)], np.r_[positive[one], negative[other]]) for one, other in drawn
    ]
    np.testing.assert_allclose(replicate_areas(positive, negative, *counts), expected, rtol=1e-12)


def test_the_bootstrap_interval_covers_the_true_difference() -> None:
    """Two scorers of one quality on the same rows: zero lies in nearly all 95 % intervals of their difference."""
    covered = []
    for seed in range(150):
        generator = np.random.default_rng(seed)
        signal = generator.normal(size=(2, 60)) + np.array([[0.8], [0.0]])
        ours, theirs = (signal + 0.7 * generator.normal(size=(2, 60)) for _ in range(2))
        counts = [
            np.stack([np.bincount(generator.integers(0, 60, 60), minlength=60) for _ in range(300)])
            for _ in range(2)
        ]
        differences = replicate_areas(*ours, *counts) - replicate_areas(*theirs, *counts)
        low, high = np.quantile(differences, [0.025, 0.975])
        covered.append(low <= 0 <= high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_scores_of_other_rows_are_refused(tmp_path: Path) -> None:
    write_drawn(tmp_path, "hat", 1.0, seeds=(0,))
    scores = {name: drawn_scores(1.0, place, rows=398) for place, name in enumerate(US_ES)}
    write_run(tmp_path, made_up_result("ctr", US_ES, [{"us": 0.5, "es": 0.5}] * 2), scores)
    with pytest.raises(InputError, match=r"ctr\.us\+es\.seed0.*other test rows of 'us' under one seed and fold"):
        bootstrap(group_of(tmp_path), REPLICATES)


def test_scores_that_are_not_the_results_are_refused(tmp_path: Path) -> None:
    write_drawn(tmp_path, "hat", 1.0, seeds=(0, 1))
    name = "hat.us+es.seed{}"
    (tmp_path / name.format(0) / SCORES).write_bytes((tmp_path / name.format(1) / SCORES).read_bytes())
    with pytest.raises(
        InputError, match=r"seed0/scores\.safetensors: gives ROC-AUC .* on 'us', result\.json says"
    ):
        bootstrap(group_of(tmp_path), REPLICATES)


def test_missing_scores_are_named(tmp_path: Path) -> None:
    write_drawn(tmp_path, "hat", 1.0, seeds=(0,))
    (tmp_path / "hat.us+es.seed0" / SCORES).unlink()
    with pytest.raises(InputError, match=r"hat\.us\+es\.seed0/scores\.safetensors: missing"):
        bootstrap(group_of(tmp_path), REPLICATES)


def width(runs: Path) -> float:
    """Of the interval of one run's us."""
    group = group_of(runs)
    (areas,) = bootstrap(group, REPLICATES).final["hat"].values()
    return float(np.ptp(np.quantile(areas["us"], [0.025, 0.975])))


def _pairs_of_alike_rows(scores: FinalScores) -> dict[str, object]:
    """Every row four times: no more is known than from a quarter of them."""
    alike = np.arange(len(scores.labels)) // 8 * 8 + np.arange(len(scores.labels)) % 2
    return {"logits": scores.logits[alike], "queries": alike}


def test_rows_of_one_query_are_drawn_together(tmp_path: Path) -> None:
    """Four rows alike a query leave the uncertainty of one of them: twice as wide as rows drawn apart have it."""
    write_drawn(tmp_path / "queries", "hat", 1.0, (0,), more=_pairs_of_alike_rows)
    write_drawn(
        tmp_path / "rows", "hat", 1.0, (0,), more=lambda one: {"logits": _pairs_of_alike_rows(one)["logits"]}
    )
    assert 1.7 < width(tmp_path / "queries") / width(tmp_path / "rows") < 2.5
    assert bootstrap(group_of(tmp_path / "queries"), 10).unit == "queries"
    assert bootstrap(group_of(tmp_path / "rows"), 10).unit == "rows"


def test_queries_of_one_class_alone_leave_no_draw_without_roc_auc(tmp_path: Path) -> None:
    """Two queries, one of each class: half of the draws would have one class alone."""
    write_drawn(tmp_path, "hat", 1.0, (0,), more=lambda one: {"queries": one.labels.astype(np.int32)})
    (areas,) = bootstrap(group_of(tmp_path), REPLICATES).final["hat"].values()
    assert len(areas["us"]) == REPLICATES
    assert np.isfinite(areas["us"]).all()


def test_runs_without_queries_take_those_of_a_run_on_the_same_rows(tmp_path: Path) -> None:
    write_drawn(tmp_path, "ctr", 1.0, (0,))
    write_drawn(tmp_path, "hat", 1.0, (0,), more=lambda one: {"queries": np.arange(len(one.labels)) // 4})
    write_drawn(tmp_path, "hat", 1.0, (1,))
    drawn = bootstrap(group_of(tmp_path), REPLICATES)
    assert drawn.unit == "queries or rows"
    same = [drawn.final[label] for label in ("ctr", "hat")]
    for key in same[0]:
        np.testing.assert_array_equal(same[0][key]["us"], same[1][key]["us"])


def test_a_cosine_that_is_not_the_results_is_refused(tmp_path: Path) -> None:
    write_drawn(tmp_path, "hat", 1.0, (0,), more=lambda one: {"untrained": one.logits})
    path = tmp_path / "hat.us+es.seed0" / "result.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "zero_shot": {"us": 0.5, "es": 0.5}}))
    with pytest.raises(InputError, match=r"gives an untrained ROC-AUC .* on 'us', result\.json says 0\.5"):
        bootstrap(group_of(tmp_path), REPLICATES)
