"""Runs what a plan has left to run, several processes at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from rich.console import Console

from model_store.errors import RelevanceError
from training.experiments.plan.planned_run import PlannedRun
from training.experiments.running.execution import execute, prepare
from training.experiments.running.output_folder import LOG, OutputFolder
from training.experiments.running.process import exit_description, start_process
from training.experiments.running.progress import PlanProgress

_PREPARATION_LOGS = "logs"


class RunsFailedError(RelevanceError):
    """Some runs of a plan ended without a result; the message names each with its exit and its log."""

    exit_code = 11


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that ended without a result."""

    run: PlannedRun
    reason: str
    log: Path


@dataclass(slots=True)
class _Job:
    """A process: a run, or the preparation of the data of one."""

    run: PlannedRun
    process: ForkServerProcess
    log: Path
    prepares: bool


@dataclass(slots=True)
class PlanRunner:
    """Does runs, each in a process of its own; what is finished is skipped, what was interrupted goes on.

    Args:
        runs: those of the plan, or of one shard of it.
        jobs: processes at a time.
        threads: that each computes with.
    """

    runs: Sequence[PlannedRun]
    output: OutputFolder
    console: Console
    jobs: int
    threads: int
    _left: deque[PlannedRun] = field(default_factory=deque)
    _active: dict[int, _Job] = field(default_factory=dict)
    _failures: list[Failure] = field(default_factory=list)

    def run_all(self) -> None:
        """Run everything that is not finished.

        Raises:
            RunsFailedError: some ended without a result; all others were done.
        """
        try:
            with PlanProgress(self.console, len(self.runs), self.jobs) as progress:
                self._sort_out_finished(progress)
                while self._left or self._active:
                    self._fill_up()
                    progress.running([job.run.name for job in self._active.values()], self._unfinished())
                    for sentinel in wait(list(self._active)):
                        assert isinstance(sentinel, int)
                        self._finish(self._active.pop(sentinel), progress)
        finally:
            self._stop()
        if self._failures:
            raise RunsFailedError(_listed_failures(self._failures, len(self.runs)))

    def _sort_out_finished(self, progress: PlanProgress) -> None:
        for run in self.runs:
            result = self.output.result_of(run)
            if result is None:
                self._left.append(run)
            else:
                progress.found(run, result.seconds)

    def _fill_up(self) -> None:
        while len(self._active) < self.jobs:
            job = self._next()
            if job is None:
                return
            self._active[job.process.sentinel] = job

    def _next(self) -> _Job | None:
        """The first run whose data is there, else the preparation of the data of another."""
        for run in self._left:
            if self.output.data_of(run).is_complete:
                self._left.remove(run)
                log = self.output.run_folder(run) / LOG
                process = start_process(execute, (run, self.output.path, self.threads), log, self.threads)
                return _Job(run, process, log, prepares=False)
        preparing = {self.output.data_of(job.run).key for job in self._active.values() if job.prepares}
        for run in self._left:
            data = self.output.data_of(run)
            if data.key not in preparing:
                log = self.output.path / _PREPARATION_LOGS / f"{data.folder.name}.txt"
                process = start_process(prepare, (run, self.output.path), log, self.threads)
                return _Job(run, process, log, prepares=True)
        return None

    def _finish(self, job: _Job, progress: PlanProgress) -> None:
        job.process.join()
        code = job.process.exitcode
        assert code is not None
        job.process.close()
        if job.prepares:
            if code or not self.output.data_of(job.run).is_complete:
                self._give_up_on_data(job, code, progress)
            return
        result = self.output.result_of(job.run)
        if result is None:
            self._fail(Failure(job.run, exit_description(code), job.log), progress)
            return
        average = sum(result.final.values()) / len(result.final)
        progress.finished(job.run, result.seconds, f"final average AUC {average:.4f}", self._unfinished())

    def _give_up_on_data(self, job: _Job, code: int, progress: PlanProgress) -> None:
        key = self.output.data_of(job.run).key
        concerned = [run for run in self._left if self.output.data_of(run).key == key]
        for run in concerned:
            self._left.remove(run)
        for run in concerned:
            self._fail(
                Failure(run, f"its data could not be prepared: {exit_description(code)}", job.log), progress
            )

    def _fail(self, failure: Failure, progress: PlanProgress) -> None:
        self._failures.append(failure)
        progress.failed(failure.run, f"{failure.reason}; see {failure.log}", self._unfinished())

    def _unfinished(self) -> list[PlannedRun]:
        return [*self._left, *(job.run for job in self._active.values() if not job.prepares)]

    def _stop(self) -> None:
        """End what is still running: the same plan goes on from its checkpoints."""
        for job in self._active.values():
            job.process.terminate()
        for job in self._active.values():
            job.process.join()
        self._active.clear()


def _listed_failures(failures: Sequence[Failure], total: int) -> str:
    lines = [
        f"  {failure.run.name}: {failure.reason}; {_last_line(failure.log)} (log: {failure.log})"
        for failure in failures
    ]
    first = f"{len(failures)} of {total} runs ended without a result; the same command tries them again:"
    return "\n".join([first, *lines])


def _last_line(log: Path) -> str:
    if not log.is_file():
        return "nothing was printed"
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "nothing was printed"
