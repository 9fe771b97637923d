from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import ConfigurationError
from tests.support.training.plans import small_plan
from training.experiments.plan.plan import ExperimentPlan, load_plan
from training.experiments.running.output_folder import OutputFolder


def noted(output: Path, *plans: ExperimentPlan) -> ExperimentPlan:
    for plan in plans:
        OutputFolder(output).begin(plan, [], rerun=False)
    return load_plan(str(output / "plan.yaml"))


def test_a_plan_that_is_widened_keeps_its_earlier_seeds_and_folds(tmp_path: Path) -> None:
    first = small_plan(tmp_path, folds=5, run_folds=[0, 1], seeds=[0])
    plan = noted(tmp_path, first, first.with_trials([2], [4]))
    assert (plan.seeds, plan.fold_numbers) == ((0, 2), [0, 1, 4])


def test_a_plan_that_is_changed_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    changed = small_plan(tmp_path, data="catalogue:160", seeds=[2])
    assert noted(tmp_path, small_plan(tmp_path, seeds=[0]), changed) == changed


def test_a_plan_that_is_broken_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("seeds: []", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"plan\.yaml: .*seeds"):
        noted(tmp_path, small_plan(tmp_path))
