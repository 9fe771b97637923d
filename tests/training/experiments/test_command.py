from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_store.errors import ConfigurationError, RelevanceError
from tests.support import REPOSITORY
from tests.support.training.made_up_results import write_small_plan
from training.commands.experiment import run_experiment
from training.experiments.plan.plan import load_plan
from training.experiments.plan.planned_run import planned_runs
from training.experiments.running.output_folder import OutputFolder
from training.methods.registry import METHODS


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sequences": [["us", "xx"]]}, "sequences: no marketplace 'xx' in catalogue:150; it has"),
        ({"data": "no/such/file.tsv"}, "data: "),
        ({"methods": ["hatt"]}, "'hatt' is no method"),
        ({"settings": {"adapter": {"botleneck": 3}}}, "adapter.botleneck"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_runs(
    tiny_encoder_folder: Path, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    plan = write_small_plan(tmp_path / "small.yaml", tiny_encoder_folder, **changes)
    with pytest.raises(RelevanceError) as refused:
        run_experiment(str(plan), tmp_path / "output")
    assert named in str(refused.value)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"seeds": "0;1"}, "--seeds '0;1': write numbers with commas, as 0,1"),
        ({"seeds": "-1"}, "--seeds '-1'"),
        ({"folds": "0"}, "run_folds: the plan has no folds"),
        ({"shard": "3/2"}, "--shard '3/2'"),
    ],
)
def test_options_that_name_no_part_of_the_plan_are_refused(
    tiny_encoder_folder: Path, tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    plan = write_small_plan(tmp_path / "small.yaml", tiny_encoder_folder)
    with pytest.raises(ConfigurationError) as refused:
        run_experiment(str(plan), tmp_path / "output", **options)
    assert named in str(refused.value)
    assert not (tmp_path / "output").exists()


def test_the_command_line_refuses_an_unknown_plan_with_its_exit_code() -> None:
    command = [sys.executable, "-m", "training", "experiment", "table7"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == ConfigurationError.exit_code
    assert "'table7' is neither a plan (ablations, " in done.stderr


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_method_in_two_shards_that_are_merged(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    changes = {
        "methods": list(METHODS),
        "seeds": [0],
        "publish": ["adapter", "attention_distillation_translation"],
    }
    path = write_small_plan(tmp_path / "small.yaml", tiny_encoder_folder, **changes)
    for part in (1, 2):
        options = ["--shard", f"{part}/2", "--output", str(tmp_path / f"shard{part}"), "--jobs", "2"]
        _training("experiment", str(path), *options)
    _training("merge", str(tmp_path / "whole"), str(tmp_path / "shard1"), str(tmp_path / "shard2"))

    runs = planned_runs(load_plan(str(path)))
    results = {run.name: OutputFolder(tmp_path / "whole").result_of(run) for run in runs}

    assert len(runs) == sum(2 if method.is_continual else 1 for method in METHODS.values())
    for run in runs:
        result = results[run.name]
        assert result is not None
        assert set(result.final) == {"us", "es"}
        assert len(result.test_matrix) == (1 if METHODS[run.method].is_joint else 2)
        assert (result.version is not None) == run.publishes


def _training(*arguments: str) -> None:
    command = [sys.executable, "-m", "training", *arguments]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
