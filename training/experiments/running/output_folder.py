"""A plan's output folder: the plan as it was run, a folder for every run and its work, what runs share."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_store.errors import ConfigurationError
from model_store.files import read_json, write_json
from training.experiments.plan.plan import ExperimentPlan, load_plan
from training.experiments.plan.planned_run import PlannedRun, decisive_configuration, first_difference
from training.experiments.plan.prepared_data import PreparedData
from training.experiments.running.run_result import RunResult, read_result

PLAN = "plan.yaml"
RUNS = "runs"
LOG = "log.txt"

WORK = "work"


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """Paths below one plan's output.

    plan.yaml                        the plan as it was last run, with earlier seeds and folds of it
    runs/LABEL.us+es.seed0/          result.json, scores.safetensors, log.txt; work/ while it is unfinished
    data/                            rows by seed and fold, shared by all methods
    translations/                    translations by content
    """

    path: Path

    def run_folder(self, run: PlannedRun) -> Path:
        """Where a run leaves what it found."""
        return self.path / RUNS / run.name

    def data_of(self, run: PlannedRun) -> PreparedData:
        """The rows that a run shares with others."""
        return PreparedData(self.path / "data", run)

    @property
    def translations(self) -> Path:
        """Where translations are kept."""
        return self.path / "translations"

    def result_of(self, run: PlannedRun) -> RunResult | None:
        """What a finished run found; None while it is not finished."""
        return read_result(self.run_folder(run))

    def begin(self, plan: ExperimentPlan, runs: Sequence[PlannedRun], rerun: bool) -> None:
        """Note the plan, once no finished run contradicts it.

        Args:
            rerun: drop finished runs that contradict the plan, so that they are run again.

        Raises:
            ConfigurationError: a finished run was made with another configuration; names the first field. Or the
                plan that was noted before is broken.
        """
        for run in runs:
            result = self.result_of(run)
            difference = None if result is None else first_difference(run.decisive(), decisive_of(result))
            if difference is None:
                if result is not None:  # left behind by a process that was killed just after it wrote its result
                    shutil.rmtree(self.run_folder(run) / WORK, ignore_errors=True)
                continue
            if not rerun:
                raise ConfigurationError(
                    f"{self.run_folder(run)} is finished with another configuration ({difference}): give the "
                    "method another label, name another --output, or do such runs again with --rerun"
                )
            shutil.rmtree(self.run_folder(run))
        self._with_earlier_trials(plan).write(self.path / PLAN)

    def _with_earlier_trials(self, plan: ExperimentPlan) -> ExperimentPlan:
        """So that a report has the runs of a plan that is widened by other seeds or folds."""
        if not (self.path / PLAN).is_file():
            return plan
        earlier = load_plan(str(self.path / PLAN))
        return plan.with_trials_of([earlier]) if earlier.but_trials == plan.but_trials else plan


def decisive_of(result: RunResult) -> dict[str, object]:
    """What decided a finished run, in the form of `PlannedRun.decisive`."""
    return {
        "method": result.method,
        "label": result.label,
        "data": result.data,
        "sequence": list(result.sequence),
        "seed": result.seed,
        "fold": result.fold,
        "folds": result.folds,
        "configuration": decisive_configuration(result.method, result.configuration),
    }


@contextmanager
def work_folder(folder: Path, run: PlannedRun) -> Iterator[Path]:
    """A run's folder for checkpoints, for one process at a time; gone once the run is finished.

    What another configuration left in it is removed.

    Raises:
        ConfigurationError: another process is doing the run.
    """
    work = folder / WORK
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"{folder}: another process is doing this run; wait until it ends"
            ) from error
        if read_json(work / "run.json") != run.decisive():
            _empty(work, keep=".lock")
            write_json(work / "run.json", run.decisive())
        yield work
        shutil.rmtree(work)


def _empty(folder: Path, keep: str) -> None:
    for path in folder.iterdir():
        if path.name == keep:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
