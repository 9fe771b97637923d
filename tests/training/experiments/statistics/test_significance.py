from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.training.made_up_results import (
    US_ES,
    drawn_scores,
    group_of,
    made_up_result,
    write_drawn,
    write_run,
)
from training.experiments.running.run_result import FinalScores
from training.experiments.statistics.bootstrap import bootstrap
from training.experiments.statistics.runs import MarketplaceGroup
from training.experiments.statistics.significance import (
    UNTRAINED,
    Comparison,
    against_best_rival,
    against_references,
    all_pairs,
    two_sided,
)
from training.experiments.statistics.summary import average

REPLICATES = 500


def pair(group: MarketplaceGroup) -> Comparison:
    average, *by_marketplace = all_pairs(group, bootstrap(group, REPLICATES))
    assert [found.of for found in (average, *by_marketplace)] == ["average", *group.marketplaces]
    return average


def test_identical_scorers_do_not_differ(tmp_path: Path) -> None:
    write_drawn(tmp_path, "hat", 1.0)
    write_drawn(tmp_path, "ctr", 1.0)
    found = pair(group_of(tmp_path))
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert not found.is_significant


def test_as_good_on_other_noise_is_significant_as_seldom_as_it_should_be(tmp_path: Path) -> None:
    significant = 0
    for number in range(20):
        write_drawn(tmp_path / str(number), "hat", 1.0, noise=2000 * number + 1000)
        write_drawn(tmp_path / str(number), "ctr", 1.0, noise=2000 * number + 2000)
        significant += pair(group_of(tmp_path / str(number))).is_significant
    assert significant <= 2


def test_clearly_better_is_significant(tmp_path: Path) -> None:
    write_drawn(tmp_path, "ctr", 1.0)
    write_drawn(tmp_path, "hat", 1.6)
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
    write_drawn(tmp_path, "ctr", 1.0)
    write_drawn(tmp_path, "hat", 1.1)
    group = group_of(tmp_path)
    drawn = bootstrap(group, REPLICATES)
    found = all_pairs(group, drawn)[0]
    own = [area for areas in drawn.final["hat"].values() for area in areas.values()]
    own_width = np.ptp(np.quantile(np.mean(own, 0), [0.025, 0.975]))
    assert found.high - found.low < own_width / 3
    assert found.is_significant


def test_two_sided_counts_both_tails() -> None:
    assert two_sided(np.full(99, 0.1)) == pytest.approx(0.02)
    assert two_sided(np.full(99, -0.1)) == pytest.approx(0.02)
    assert two_sided(np.array([-1.0] * 10 + [1.0] * 89)) == pytest.approx(2 * 11 / 100)
    assert two_sided(np.zeros(99)) == 1.0


def test_the_best_rival_is_of_another_method(tmp_path: Path) -> None:
    write_drawn(tmp_path, "hat", 1.6)
    write_drawn(tmp_path, "hat_wide", 1.5, method="hat")
    write_drawn(tmp_path, "ctr", 1.0)
    write_drawn(tmp_path, "b_cl", 0.8)
    group = group_of(tmp_path)
    averages = {method.label: float(np.mean(list(method.by_trial(average).values()))) for method in group.methods}
    found = against_best_rival(group.methods, averages, bootstrap(group, REPLICATES))
    rivals = {label: comparison.rival for label, comparison in found.items()}
    assert rivals == {"hat": "ctr", "hat_wide": "ctr", "ctr": "hat", "b_cl": "hat"}
    assert all(comparison.adjusted_p_value >= comparison.p_value for comparison in found.values())


def test_only_runs_that_both_have_are_compared(tmp_path: Path) -> None:
    write_drawn(tmp_path, "hat", 1.2, seeds=(0, 1))
    write_drawn(tmp_path, "ctr", 1.2, seeds=(1, 2))
    found = pair(group_of(tmp_path))
    assert (found.over_trials.n, found.difference) == (1, 0.0)


def test_a_method_without_order_is_compared_with_every_sequence(tmp_path: Path) -> None:
    for sequence in (["us", "es"], ["es", "us"]):
        scores = {name: drawn_scores(1.0, place) for place, name in enumerate(US_ES)}
        write_run(tmp_path, made_up_result("hat", sequence, [{"us": 0.5, "es": 0.5}] * 2), scores)
    write_drawn(tmp_path, "single_marketplace", 1.0, seeds=(0,), is_continual=False)
    found = pair(group_of(tmp_path))
    assert (found.over_trials.n, found.p_value) == (1, 1.0)
    assert found.difference == pytest.approx(0.0)


def test_every_marketplace_is_compared_on_its_own(tmp_path: Path) -> None:
    write_drawn(tmp_path, "ctr", 1.0)
    for seed in (0, 1):
        scores = {"us": drawn_scores(2.0, 10 * seed), "es": drawn_scores(1.0, 10 * seed + 1)}
        write_run(tmp_path, made_up_result("hat", US_ES, [{"us": 0.5, "es": 0.5}] * 2, seed), scores)
    group = group_of(tmp_path)

    average, us, es = all_pairs(group, bootstrap(group, REPLICATES))

    assert (es.difference, es.low, es.high) == (0.0, 0.0, 0.0)
    assert us.is_significant
    assert us.difference == pytest.approx(2 * average.difference)


def _with_cosine(scores: FinalScores) -> dict[str, object]:
    noise = np.random.default_rng(77).normal(size=len(scores.labels))
    return {"untrained": (0.5 * scores.labels + noise).astype(np.float32)}


def test_a_method_is_held_against_the_untrained_cosine(tmp_path: Path) -> None:
    write_drawn(tmp_path, "hat", 2.0, more=_with_cosine)
    write_drawn(
        tmp_path, "cosine", 0.0, more=lambda one: {**_with_cosine(one), "logits": _with_cosine(one)["untrained"]}
    )
    group = group_of(tmp_path)

    found = against_references(group, bootstrap(group, REPLICATES))

    assert set(found) == {(label, UNTRAINED, of) for label in ("hat", "cosine") for of in ("us", "es", "average")}
    better, equal = found["hat", UNTRAINED, "us"], found["cosine", UNTRAINED, "average"]
    assert better.is_significant
    assert better.low < better.difference < better.high
    assert (equal.difference, equal.low, equal.high, equal.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_results_that_keep_no_cosine_have_no_such_comparison_but_borrow_an_equal_one(tmp_path: Path) -> None:
    write_drawn(tmp_path, "hat", 2.0, seeds=(0,), more=_with_cosine)
    group = group_of(tmp_path)
    zero_shot = group.methods[0].results[0].zero_shot
    write_drawn(tmp_path, "ctr", 1.5, seeds=(0, 1), zero_shot=zero_shot)
    write_drawn(tmp_path, "b_cl", 1.5, seeds=(0,))  # of another encoder
    group = group_of(tmp_path)

    found = against_references(group, bootstrap(group, REPLICATES))

    assert {label for label, _, _ in found} == {"hat", "ctr"}
    assert found["ctr", UNTRAINED, "average"].over_trials.n == 1


def test_single_marketplace_is_a_reference(tmp_path: Path) -> None:
    write_drawn(tmp_path, "single_marketplace", 1.0, is_continual=False)
    write_drawn(tmp_path, "hat", 2.0)
    group = group_of(tmp_path)

    found = against_references(group, bootstrap(group, REPLICATES))

    assert set(found) == {("hat", "single_marketplace", "average")}
    assert found["hat", "single_marketplace", "average"].is_significant
