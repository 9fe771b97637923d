from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_store.errors import InputError
from tests.training.experiments.made_up_results import group_of, made_up_result, write_run
from training.evaluation import roc_auc
from training.experiments.report_runs import MarketplaceGroup
from training.experiments.run_result import SCORES, FinalScores
from training.experiments.significance import (
    Comparison,
    against_best_rival,
    all_pairs,
    bootstrap_averages,
    replicate_areas,
    two_sided,
)
from training.experiments.statistics import average

SEQUENCE = ["us", "es"]
REPLICATES = 500


def drawn_scores(quality: float, seed: int, rows: int = 400) -> FinalScores:
    """Labels that depend on the seed alone, and logits with this much of the label in them."""
    labels = (np.arange(rows) % 2).astype(np.float32)
    noise = np.random.default_rng(seed).normal(size=rows)
    return FinalScores(labels=labels, logits=(quality * labels + noise).astype(np.float32))


def write_method(
    runs: Path, label: str, quality: float, seeds: tuple[int, ...] = (0, 1), noise: int = 0, **changes: object
) -> None:
    for seed in seeds:
        scores = {name: drawn_scores(quality, 10 * seed + place + noise) for place, name in enumerate(SEQUENCE)}
        write_run(
            runs,
            made_up_result(label, SEQUENCE, [{"us": 0.5, "es": 0.5}] * 2, seed).model_copy(update=changes),
            scores,
        )


def pair(group: MarketplaceGroup) -> Comparison:
    (found,) = all_pairs(group.methods, bootstrap_averages(group, REPLICATES))
    return found


def test_identical_scorers_do_not_differ(tmp_path: Path) -> None:
    write_method(tmp_path, "hat", 1.0)
    write_method(tmp_path, "ctr", 1.0)
    found = pair(group_of(tmp_path))
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert not found.is_significant


def test_as_good_on_other_noise_is_significant_as_seldom_as_it_should_be(tmp_path: Path) -> None:
    significant = 0
    for number in range(20):
        write_method(tmp_path / str(number), "hat", 1.0, noise=2000 * number + 1000)
        write_method(tmp_path / str(number), "ctr", 1.0, noise=2000 * number + 2000)
        significant += pair(group_of(tmp_path / str(number))).is_significant
    assert significant <= 2


def test_clearly_better_is_significant(tmp_path: Path) -> None:
    write_method(tmp_path, "ctr", 1.0)
    write_method(tmp_path, "hat", 1.6)
    found = pair(group_of(tmp_path))
    better = found.difference if found.label == "hat" else -found.difference
    assert better > 0.05
    assert found.p_value == pytest.approx(2 / (REPLICATES + 1))
    assert found.is_significant
    assert min(abs(found.low), abs(found.high)) > 0
    assert found.low < found.difference < found.high
    assert found.over_trials.n == 2


def test_pairing_sees_what_unpaired_rows_would_not(tmp_path: Path) -> None:
    """A small gain on every row alike: far below the width of either method's own interval."""
    write_method(tmp_path, "ctr", 1.0)
    write_method(tmp_path, "hat", 1.1)
    group = group_of(tmp_path)
    drawn = bootstrap_averages(group, REPLICATES)
    (found,) = all_pairs(group.methods, drawn)
    own_width = np.ptp(np.quantile(np.mean(list(drawn["hat"].values()), 0), [0.025, 0.975]))
    assert found.high - found.low < own_width / 3
    assert found.is_significant


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


def test_two_sided_counts_both_tails() -> None:
    assert two_sided(np.full(99, 0.1)) == pytest.approx(0.02)
    assert two_sided(np.full(99, -0.1)) == pytest.approx(0.02)
    assert two_sided(np.array([-1.0] * 10 + [1.0] * 89)) == pytest.approx(2 * 11 / 100)
    assert two_sided(np.zeros(99)) == 1.0


def test_the_best_rival_is_of_another_method(tmp_path: Path) -> None:
    write_method(tmp_path, "hat", 1.6)
    write_method(tmp_path, "hat_wide", 1.5, method="hat")
    write_method(tmp_path, "ctr", 1.0)
    write_method(tmp_path, "b_cl", 0.8)
    group = group_of(tmp_path)
    averages = {method.label: float(np.mean(list(method.by_trial(average).values()))) for method in group.methods}
    found = against_best_rival(group.methods, averages, bootstrap_averages(group, REPLICATES))
    rivals = {label: comparison.rival for label, comparison in found.items()}
    assert rivals == {"hat": "ctr", "hat_wide": "ctr", "ctr": "hat", "b_cl": "hat"}
    assert all(comparison.adjusted_p_value >= comparison.p_value for comparison in found.values())


def test_only_runs_that_both_have_are_compared(tmp_path: Path) -> None:
    write_method(tmp_path, "hat", 1.2, seeds=(0, 1))
    write_method(tmp_path, "ctr", 1.2, seeds=(1, 2))
    found = pair(group_of(tmp_path))
    assert (found.over_trials.n, found.difference) == (1, 0.0)


def test_a_method_without_order_is_compared_with_every_sequence(tmp_path: Path) -> None:
    for sequence in (["us", "es"], ["es", "us"]):
        scores = {name: drawn_scores(1.0, place) for place, name in enumerate(SEQUENCE)}
        write_run(tmp_path, made_up_result("hat", sequence, [{"us": 0.5, "es": 0.5}] * 2), scores)
    write_method(tmp_path, "single_marketplace", 1.0, seeds=(0,), is_continual=False)
    found = pair(group_of(tmp_path))
    assert (found.over_trials.n, found.p_value) == (1, 1.0)
    assert found.difference == pytest.approx(0.0)


def test_scores_of_other_rows_are_refused(tmp_path: Path) -> None:
    write_method(tmp_path, "hat", 1.0, seeds=(0,))
    scores = {name: drawn_scores(1.0, place, rows=398) for place, name in enumerate(SEQUENCE)}
    write_run(tmp_path, made_up_result("ctr", SEQUENCE, [{"us": 0.5, "es": 0.5}] * 2), scores)
    with pytest.raises(InputError, match=r"ctr\.us\+es\.seed0.*other test rows of 'us' under one seed and fold"):
        bootstrap_averages(group_of(tmp_path), REPLICATES)


def test_scores_that_are_not_the_results_are_refused(tmp_path: Path) -> None:
    write_method(tmp_path, "hat", 1.0, seeds=(0, 1))
    name = "hat.us+es.seed{}"
    (tmp_path / name.format(0) / SCORES).write_bytes((tmp_path / name.format(1) / SCORES).read_bytes())
    with pytest.raises(
        InputError, match=r"seed0/scores\.safetensors: gives ROC-AUC .* on 'us', result\.json says"
    ):
        bootstrap_averages(group_of(tmp_path), REPLICATES)


def test_missing_scores_are_named(tmp_path: Path) -> None:
    write_method(tmp_path, "hat", 1.0, seeds=(0,))
    (tmp_path / "hat.us+es.seed0" / SCORES).unlink()
    with pytest.raises(InputError, match=r"hat\.us\+es\.seed0/scores\.safetensors: missing"):
        bootstrap_averages(group_of(tmp_path), REPLICATES)
