"""Parts of one plan, run on several machines, as one output folder."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Sequence
from pathlib import Path

from model_store.errors import ConfigurationError
from model_store.files import temporary_folder
from training.experiments.plan.plan import ExperimentPlan, load_plan
from training.experiments.plan.planned_run import first_difference
from training.experiments.running.output_folder import PLAN, RUNS, decisive_of
from training.experiments.running.run_result import RESULT, read_result


def merge_outputs(output: Path, folders: Sequence[Path]) -> int:
    """Copy finished runs of the folders into `output`, and return how many were new there.

    The folders may be shards, or have other seeds and folds of the plan, which then has those of all of them.
    Everything is checked before anything is copied.

    Raises:
        ConfigurationError: a folder is no output of the same plan, or two folders hold different results of
            one run; names both.
    """
    plan = _plan_of([*([output] if (output / PLAN).is_file() else []), *folders])
    chosen: dict[str, Path] = {run.name: run for run in _finished(output)}
    known = set(chosen)
    for folder in folders:
        for run in _finished(folder):
            other = chosen.setdefault(run.name, run)
            if other != run:
                _check_same(other, run)
    for name in sorted(set(chosen) - known):
        _copy(chosen[name], output / RUNS)
    plan.write(output / PLAN)
    return len(set(chosen) - known)


def _plan_of(folders: Sequence[Path]) -> ExperimentPlan:
    """The folders' one plan, with the seeds and folds of all of them."""
    plans = [_plan_in(folder) for folder in folders]
    for folder, plan in zip(folders, plans, strict=True):
        difference = first_difference(plans[0].but_trials, plan.but_trials)
        if difference:
            raise ConfigurationError(f"{folder / PLAN} is not the plan of {folders[0]}: {difference}")
    return plans[0].with_trials_of(plans[1:])


def _plan_in(folder: Path) -> ExperimentPlan:
    if not (folder / PLAN).is_file():
        raise ConfigurationError(f"{folder}: no {PLAN} there; name the output folders of one plan")
    return load_plan(str(folder / PLAN))


def _finished(output: Path) -> list[Path]:
    return sorted(path.parent for path in (output / RUNS).glob(f"*/{RESULT}"))


def _check_same(one: Path, other: Path) -> None:
    """Refuse two results of one run, unless one is a copy of the other."""
    if filecmp.cmp(one / RESULT, other / RESULT, shallow=False):
        return
    results = [read_result(folder) for folder in (one, other)]
    assert results[0] is not None
    assert results[1] is not None
    difference = first_difference(decisive_of(results[0]), decisive_of(results[1])) or "both were run"
    raise ConfigurationError(f"{one} and {other} are different results of one run ({difference}): remove one")


def _copy(run: Path, runs: Path) -> None:
    with temporary_folder(runs, ".copy-") as partial:
        shutil.copytree(run, partial, dirs_exist_ok=True)
        partial.rename(runs / run.name)
