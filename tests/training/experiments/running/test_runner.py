from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from model_store.errors import ConfigurationError
from model_store.metrics import roc_auc
from tests.support import REPOSITORY
from tests.support.training.made_up_results import small_plan, write_small_plan
from training.experiments.plan.plan import ExperimentPlan, load_plan
from training.experiments.plan.planned_run import planned_runs, shard_of
from training.experiments.running.merge import merge_outputs
from training.experiments.running.output_folder import OutputFolder
from training.experiments.running.run_result import RunResult, read_scores
from training.experiments.running.runner import PlanRunner, RunsFailedError

pytestmark = pytest.mark.timeout(900)

ONE_RUN = {"sequences": [["us", "es"]], "seeds": [0], "methods": ["attention_distillation_translation"]}
TOO_MANY_LAYERS = {
    "method": "sequential_finetuning",
    "label": "too_deep",
    "settings": {"pair_encoding": {"interaction": "late(5)"}},
}


def run_plan(plan: ExperimentPlan, output: Path, *, shard: str | None = None, rerun: bool = False) -> str:
    console = Console(file=StringIO(), width=200)
    runs = planned_runs(plan)
    folder = OutputFolder(output)
    folder.begin(plan, runs, rerun)
    PlanRunner(shard_of(runs, shard), folder, console, jobs=2, threads=1).run_all()
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def results_of(plan: ExperimentPlan, output: Path) -> dict[str, RunResult]:
    found = {run.name: OutputFolder(output).result_of(run) for run in planned_runs(plan)}
    return {name: result for name, result in found.items() if result is not None}


@pytest.fixture(scope="module")
def finished(tiny_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ExperimentPlan, Path]:
    """A plan with one run, done."""
    plan = small_plan(tiny_encoder_folder, **ONE_RUN)
    output = tmp_path_factory.mktemp("finished") / "output"
    run_plan(plan, output)
    return plan, output


@pytest.fixture
def output(finished: tuple[ExperimentPlan, Path], tmp_path: Path) -> Path:
    """A copy of its output, to go on with."""
    return Path(shutil.copytree(finished[1], tmp_path / "output"))


def test_a_run_leaves_what_the_report_needs(finished: tuple[ExperimentPlan, Path]) -> None:
    plan, output = finished
    [run] = planned_runs(plan)
    result = OutputFolder(output).result_of(run)
    assert result is not None
    assert [set(row) for row in result.test_matrix] == [{"us", "es"}, {"us", "es"}]
    assert set(result.zero_shot) == {"us", "es"}
    assert [step.marketplace for step in result.steps] == ["us", "es"]
    assert result.steps[1].translated_rows["us"] == pytest.approx(0.3 * result.steps[1].train_rows, abs=1)
    assert 0 < result.steps[1].trainable_parameters < result.total_parameters
    assert result.peak_memory_bytes > 50_000_000
    assert result.adapters == ("us", "es")
    assert [len(layer) for layer in result.attention["us"]] == [2, 2]
    assert all(sum(layer) == pytest.approx(1.0, abs=1e-3) for layer in result.attention["es"])
    assert result.commit
    assert "torch" in result.versions
    assert result.configuration["seed"] == 0
    scores = read_scores(OutputFolder(output).run_folder(run))
    assert {name: len(one.labels) for name, one in scores.items()} == result.test_rows
    for name, one in scores.items():
        rows = OutputFolder(output).data_of(run).rows(name, "test")
        assert len(np.unique(np.asarray(one.queries))) == len({row.query for row in rows})
        assert roc_auc(one.labels, np.asarray(one.untrained)) == pytest.approx(result.zero_shot[name])
    assert sorted(path.name for path in OutputFolder(output).run_folder(run).iterdir()) == [
        "log.txt",
        "result.json",
        "scores.safetensors",
    ]
    assert load_plan(str(output / "plan.yaml")) == plan


def test_a_finished_run_is_skipped_and_a_changed_plan_runs_what_is_new(
    finished: tuple[ExperimentPlan, Path], output: Path, tiny_encoder_folder: Path
) -> None:
    plan, _ = finished
    larger = small_plan(tiny_encoder_folder, **{**ONE_RUN, "methods": [plan.methods[0].method, "adapter"]})
    before = results_of(plan, output)

    summary = run_plan(larger, output)

    after = results_of(larger, output)
    assert after.items() > before.items()
    assert set(after) - set(before) == {"adapter.us+es.seed0"}
    assert "2/2 adapter.us+es.seed0: final average AUC" in summary
    assert "0 s left" in summary
    assert load_plan(str(output / "plan.yaml")) == larger


def test_a_finished_run_with_another_configuration_is_refused_or_done_again(
    finished: tuple[ExperimentPlan, Path], output: Path
) -> None:
    plan, _ = finished
    settings = {**plan.settings, "distillation": {"weight": 7}}
    changed = plan.model_copy(update={"settings": settings})
    with pytest.raises(ConfigurationError, match=r"weight was 3\.0 and is now 7\.0.*--rerun"):
        run_plan(changed, output)
    assert load_plan(str(output / "plan.yaml")) == plan

    run_plan(changed, output, rerun=True)

    [result] = results_of(changed, output).values()
    assert result.configuration["distillation"]["weight"] == 7  # type: ignore[index]


def test_a_run_that_fails_does_not_end_the_plan_and_is_told_with_its_reason(
    finished: tuple[ExperimentPlan, Path], output: Path
) -> None:
    content = {**finished[0].model_dump(exclude_defaults=True), "methods": [TOO_MANY_LAYERS, "adapter"]}
    plan = ExperimentPlan.model_validate(content)
    with pytest.raises(RunsFailedError) as failed:
        run_plan(plan, output)
    message = str(failed.value)
    assert "1 of 2 runs ended without a result" in message
    assert f"too_deep.us+es.seed0: exit code {ConfigurationError.exit_code}" in message
    assert "more joint layers than the encoder's 2" in message
    assert set(results_of(plan, output)) == {"adapter.us+es.seed0"}
    log = output / "runs" / "too_deep.us+es.seed0" / "log.txt"
    assert str(log) in message
    assert "late(5)" in log.read_text()


def test_data_that_cannot_be_learnt_from_fails_all_its_runs_once(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    methods = ["sequential_finetuning", "adapter"]
    plan = small_plan(tiny_encoder_folder, **{**ONE_RUN, "methods": methods, "data": "catalogue:12"})
    with pytest.raises(RunsFailedError, match="2 of 2 runs") as failed:
        run_plan(plan, tmp_path / "output")
    assert "its data could not be prepared" in str(failed.value)
    assert "validation part" in str(failed.value)


def test_shards_on_two_machines_merge_into_the_whole_plan(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    plan = small_plan(tiny_encoder_folder, **{**ONE_RUN, "methods": ["sequential_finetuning", "adapter"]})
    for part in (1, 2):
        run_plan(plan, tmp_path / f"shard{part}", shard=f"{part}/2")
        assert len(results_of(plan, tmp_path / f"shard{part}")) == 1

    assert merge_outputs(tmp_path / "whole", [tmp_path / "shard1", tmp_path / "shard2"]) == 2

    assert len(results_of(plan, tmp_path / "whole")) == 2
    assert run_plan(plan, tmp_path / "whole") == ""
    assert merge_outputs(tmp_path / "whole", [tmp_path / "shard1"]) == 0


def test_folds_of_one_plan_test_every_row_once(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    plan = small_plan(tiny_encoder_folder, **{**ONE_RUN, "folds": 2, "methods": ["adapter"]})
    run_plan(plan, tmp_path)
    results = results_of(plan, tmp_path).values()
    assert sorted(result.fold for result in results if result.fold is not None) == [0, 1]
    assert sum(result.test_rows["us"] for result in results) == 150


def test_a_plan_that_is_killed_goes_on_and_ends_as_if_it_had_not_been(
    finished: tuple[ExperimentPlan, Path], tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    plan, whole = finished
    [run] = planned_runs(plan)
    path = write_small_plan(tmp_path / "small.yaml", tiny_encoder_folder, **ONE_RUN)
    output = tmp_path / "output"
    first_step = OutputFolder(output).run_folder(run) / "work" / "steps" / "0001-us.json"
    with _started(path, output) as killed:
        _interrupt(killed, first_step, signal.SIGKILL)
    assert not results_of(plan, output)

    with _started(path, output) as process:
        _, errors = process.communicate(timeout=400)

    assert process.returncode == 0, errors
    assert results_of(plan, output)[run.name].test_matrix == results_of(plan, whole)[run.name].test_matrix


@pytest.mark.long
def test_ctrl_c_ends_what_runs_and_says_how_to_go_on(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    path = write_small_plan(tmp_path / "small.yaml", tiny_encoder_folder, **ONE_RUN)
    [run] = planned_runs(load_plan(str(path)))
    output = tmp_path / "output"
    with _started(path, output) as process:
        _interrupt(process, OutputFolder(output).run_folder(run) / "work" / "run.json", signal.SIGINT)
        assert process.stderr is not None
        assert "the same command resumes" in process.stderr.read()
    assert process.returncode == 130


def _started(plan: Path, output: Path) -> subprocess.Popen[str]:
    command = [
        *("env", "--default-signal=INT"),  # a shell's background jobs, and what tests they start, ignore Ctrl-C
        sys.executable,
        "-m",
        "training",
        "experiment",
        str(plan),
        "--output",
        str(output),
        "--threads",
        "1",
    ]
    return subprocess.Popen(command, cwd=REPOSITORY, env=dict(os.environ), stderr=subprocess.PIPE, text=True)


def _interrupt(process: subprocess.Popen[str], when_there: Path, how: signal.Signals) -> None:
    deadline = time.monotonic() + 300
    while not when_there.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"{when_there} did not appear"
        time.sleep(0.01)
    process.send_signal(how)
    process.wait(timeout=60)
