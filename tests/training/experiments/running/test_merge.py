from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from model_store.errors import ConfigurationError
from tests.support.training.made_up_results import small_plan
from training.experiments.plan.plan import ExperimentPlan, load_plan
from training.experiments.plan.planned_run import PlannedRun, planned_runs
from training.experiments.running.merge import merge_outputs
from training.experiments.running.output_folder import OutputFolder
from training.experiments.running.run_result import FinalScores, RunResult, StepFacts, write_result


def write_run(output: Path, plan: ExperimentPlan, run: PlannedRun, auc: float = 0.8) -> None:
    result = RunResult(
        plan=run.plan,
        method=run.method,
        label=run.label,
        title=run.title,
        is_continual=True,
        data=run.data,
        sequence=run.sequence,
        seed=run.seed,
        test_matrix=tuple(dict.fromkeys(run.sequence, auc) for _ in run.sequence),
        zero_shot=dict.fromkeys(run.sequence, 0.6),
        test_rows=dict.fromkeys(run.sequence, 2),
        steps=(StepFacts(marketplace=run.sequence[0], seconds=1.0, trainable_parameters=1, train_rows=1),),
        total_parameters=2,
        peak_memory_bytes=3,
        configuration=run.configuration.model_dump(mode="json"),
        versions={},
        commit="1",
        hardware="one core",
        started_at=datetime.now(UTC),
        seconds=1.0,
    )
    labels = np.array([0, 1], dtype=np.float32)
    scores = {name: FinalScores(labels=labels, logits=labels) for name in run.sequence}
    write_result(OutputFolder(output).run_folder(run), result, scores)
    plan.write(output / "plan.yaml")


def test_only_finished_runs_are_copied(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    first, second = planned_runs(plan)[:2]
    write_run(tmp_path / "a", plan, first)
    (tmp_path / "a" / "runs" / second.name / "work").mkdir(parents=True)

    assert merge_outputs(tmp_path / "whole", [tmp_path / "a"]) == 1

    assert [path.name for path in (tmp_path / "whole" / "runs").iterdir()] == [first.name]


def test_two_results_of_one_run_are_refused_before_anything_is_copied(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    first, second = planned_runs(plan)[:2]
    write_run(tmp_path / "a", plan, first)
    write_run(tmp_path / "b", plan, second)
    write_run(tmp_path / "b", plan, first, auc=0.9)
    with pytest.raises(ConfigurationError, match="different results of one run"):
        merge_outputs(tmp_path / "whole", [tmp_path / "a", tmp_path / "b"])
    assert not (tmp_path / "whole").exists()


def test_folders_of_different_plans_are_refused(tmp_path: Path) -> None:
    plan, other = small_plan(tmp_path), small_plan(tmp_path, data="catalogue:160")
    write_run(tmp_path / "a", plan, planned_runs(plan)[0])
    write_run(tmp_path / "b", other, planned_runs(other)[0])
    with pytest.raises(ConfigurationError, match="data was 'catalogue:160' and is now 'catalogue:150'"):
        merge_outputs(tmp_path / "whole", [tmp_path / "a", tmp_path / "b"])


def test_folders_with_other_seeds_and_folds_of_a_plan_are_merged(tmp_path: Path) -> None:
    for name, seed, fold in (("a", 1, 2), ("b", 0, 0)):
        plan = small_plan(tmp_path, seeds=[seed], folds=3, run_folds=[fold])
        write_run(tmp_path / name, plan, planned_runs(plan)[0])

    assert merge_outputs(tmp_path / "whole", [tmp_path / "a", tmp_path / "b"]) == 2

    whole = load_plan(str(tmp_path / "whole" / "plan.yaml"))
    assert (whole.seeds, whole.fold_numbers) == ((0, 1), [0, 2])


def test_a_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"plan\.yaml"):
        merge_outputs(tmp_path / "whole", [tmp_path])
