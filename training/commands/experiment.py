"""`training experiment`, `training merge`, `training report`: runs of a plan, and tables and figures of them."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from model_store.errors import ConfigurationError, InputError
from training.console import ProgressBar, notes
from training.data.sources import parse_source
from training.experiments.plan.plan import ExperimentPlan, load_plan
from training.experiments.plan.planned_run import check_translation, planned_runs, shard_of
from training.experiments.report.markdown import REPORT, write_report
from training.experiments.running.merge import merge_outputs
from training.experiments.running.output_folder import OutputFolder
from training.experiments.running.runner import PlanRunner
from training.experiments.statistics.bootstrap import REPLICATES

OUTPUT = Path("var/experiments")
_NUMBERS = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*")


def run_experiment(
    plan_name: str,
    output: Path | None = None,
    seeds: str | None = None,
    folds: str | None = None,
    shard: str | None = None,
    jobs: int = 1,
    threads: int | None = None,
    rerun: bool = False,
) -> None:
    """Check the whole plan, then run what is left of it."""
    plan = load_plan(plan_name).with_trials(_numbers(seeds, "--seeds"), _numbers(folds, "--folds"))
    _check_data(plan)
    runs = planned_runs(plan)
    check_translation(runs)
    mine = shard_of(runs, shard)
    folder = OutputFolder(output or OUTPUT / plan.name)
    folder.begin(plan, runs, rerun)
    threads = threads or max(1, (os.cpu_count() or 1) // jobs)
    notes.print(f"{plan.name}: {len(mine)} runs in {folder.path}, {jobs} at a time with {threads} threads each")
    try:
        PlanRunner(mine, folder, notes, jobs, threads).run_all()
    except KeyboardInterrupt:
        notes.print("interrupted; the same command resumes")
        raise
    notes.print(f"{plan.name}: all {len(mine)} runs are finished")


def merge_parts(output: Path, folders: Sequence[Path]) -> None:
    """Copy the finished runs of all folders into one."""
    new = merge_outputs(output, folders)
    notes.print(f"{new} runs copied into {output}")


def _numbers(summary: str | None, option: str) -> Sequence[int] | None:
    if summary is None:
        return None
    if not _NUMBERS.fullmatch(summary):
        raise ConfigurationError(f"{option} {summary!r}: write numbers with commas, as 0,1")
    return [int(number) for number in summary.split(",")]


def _check_data(plan: ExperimentPlan) -> None:
    try:
        available = parse_source(plan.data).available()
    except (InputError, ConfigurationError) as error:
        raise type(error)(f"{plan.name}: data: {error}") from error
    for name in plan.marketplaces:
        if name not in available:
            raise ConfigurationError(
                f"{plan.name}: sequences: no marketplace {name!r} in {plan.data}; it has {', '.join(available)}"
            )


FOLDER = "report"


def report_experiment(folder: Path, output: Path | None, replicates: int | None) -> None:
    """Write the report, and say where it is and what is missing."""
    target = output or folder / FOLDER
    command = ["python", "-m", "training", "report", str(folder)]
    command += ["--output", str(output)] if output else []
    command += ["--replicates", str(replicates)] if replicates else []
    with ProgressBar(notes) as progress:
        task = progress.add("paired bootstrap", total=None, unit="blocks")
        runs = write_report(
            folder,
            target,
            shlex.join(command),
            replicates or REPLICATES,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    missing = f"; {len(runs.missing)} planned runs are missing" if runs.missing else ""
    notes.print(f"{runs.name}: {len(runs.runs)} runs in {target / REPORT}{missing}")
