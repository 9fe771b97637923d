from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError
from tests.support.training.plans import small_plan
from training.experiments.plan.planned_run import PlannedRun, planned_runs
from training.experiments.running.work_folder import work_folder


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
