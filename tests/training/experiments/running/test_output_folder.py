from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError
from tests.support.training.made_up_results import small_plan
from training.experiments.plan.plan import ExperimentPlan, load_plan
from training.experiments.plan.planned_run import PlannedRun, planned_runs
from training.experiments.running.output_folder import OutputFolder, work_folder


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


def test_a_run_is_done_by_one_process_at_a_time_and_leaves_no_work_behind(tmp_path: Path) -> None:
    run = planned_runs(small_plan(tmp_path))[0]
    with work_folder(tmp_path / "run", run) as work:
        with pytest.raises(ConfigurationError, match="another process"), work_folder(tmp_path / "run", run):
            pass
        assert work.is_dir()
    assert not work.exists()


def test_work_of_another_configuration_is_not_gone_on_with(tmp_path: Path) -> None:
    run, other = planned_runs(small_plan(tmp_path))[:2]
    folder = tmp_path / "run"
    assert not _leave_interrupted(folder, run)
    assert _leave_interrupted(folder, run)
    assert not _leave_interrupted(folder, other)


def _leave_interrupted(folder: Path, run: PlannedRun) -> bool:
    """Whether a checkpoint was found; one is there afterwards."""
    found = False
    with contextlib.suppress(KeyError), work_folder(folder, run) as work:
        found = (work / "checkpoint").exists()
        (work / "checkpoint").touch()
        raise KeyError("interrupted")
    return found
