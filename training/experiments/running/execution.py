"""One run of a plan: the driver teaches a method a sequence; what was measured is the result."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from model_store.versions.store import ModelStore
from training.experiments.plan.planned_run import PlannedRun, method_named
from training.experiments.running.fusion_attention import mean_attention
from training.experiments.running.machine import commit, hardware, library_versions, peak_memory_bytes
from training.experiments.running.output_folder import OutputFolder, work_folder
from training.experiments.running.run_result import FinalScores, RunResult, StepFacts, write_result
from training.methods.base import MethodContext
from training.runs.driver import SequenceRun
from training.runs.files import RunFiles
from training.runs.marketplace_data import TEST, VALIDATION, EvaluationTokens
from training.runs.publishing import Publisher, RunState
from training.runs.steps import StepFiles, StepResult
from training.stages.environment import run_folder_of

MODEL_STORE = "model-store"
"""Where a run publishes, in its folder."""


def prepare(run: PlannedRun, output: Path) -> None:
    """Read and split the rows that the run shares with others, and measure the untrained encoder on them."""
    OutputFolder(output).data_of(run).prepare()


def execute(run: PlannedRun, output: Path, threads: int) -> None:
    """Do a run whose data is prepared, and write its result.

    Raises:
        ConfigurationError: another process is doing it, or the method refuses the configuration.
        ReplayError: the method kept rows of an older marketplace.
    """
    folder = OutputFolder(output)
    with work_folder(folder.run_folder(run), run) as work:
        execution = _Execution(run, folder, work)
        steps = execution.learn_all()
        result = execution.result(steps, threads)
        if run.publishes:
            store = folder.run_folder(run) / MODEL_STORE
            result = result.model_copy(update={"version": execution.publish(store, steps)})
        write_result(folder.run_folder(run), result, execution.final_scores())


class _Execution:
    def __init__(self, run: PlannedRun, output: OutputFolder, work: Path) -> None:
        self.run, self.data = run, output.data_of(run)
        self.started_at, self.started = datetime.now(UTC), time.monotonic()
        context = MethodContext.of(run.configuration, work / "method")
        self.method = method_named(run.method, run.label)(context)
        # Not frozen: final scores are those of a loaded version, to the last digit.
        evaluation = EvaluationTokens.tokenized(self.data.rows, run.sequence, (TEST,), context.tokenizer)
        self.driver = SequenceRun(
            self.method, self.data.rows, evaluation, StepFiles(work / "steps"), output.translations, _say
        )

    def learn_all(self) -> list[StepResult]:
        """Every step with its row of R."""
        return self.driver.learn(self.run.sequence)

    def final_scores(self) -> dict[str, FinalScores]:
        """Labels and logits of all test rows with the weights as they are."""
        untrained, logits = self.data.untrained_cosine(), self.driver.test_logits()
        return {
            name: FinalScores(
                labels=data.labels,
                logits=logits[name],
                queries=np.asarray(data.tokenized.query_index, dtype=np.int32),
                untrained=untrained[name],
            )
            for name, data in self.driver.evaluation.of(TEST).items()
        }

    def publish(self, folder: Path, steps: list[StepResult]) -> int | None:
        """Publish what the model store can hold of the method, and return the newest version's number."""
        if folder.exists():  # of a process that was interrupted before it wrote its result
            shutil.rmtree(folder)
        files = RunFiles(run_folder_of(folder, self.run.name))
        for name in self.run.sequence:
            files.keep_evaluation(name, {part: self.data.rows(name, part) for part in (VALIDATION, TEST)})
        state = RunState(zero_shot_test=self._zero_shot())
        for step in steps:
            state.add(step)
        publisher = Publisher(ModelStore(folder), files, self.data.rows, self.driver.evaluation)
        published = publisher.publish(self.method, state, None)
        return published[-1].number if published else None

    def result(self, steps: list[StepResult], threads: int) -> RunResult:
        """The run as the report reads it."""
        run = self.run
        adapters, attention = self._attention()
        return RunResult(
            plan=run.plan,
            method=run.method,
            label=run.label,
            title=run.title,
            is_continual=self.method.is_continual,
            data=run.data,
            sequence=run.sequence,
            seed=run.seed,
            fold=run.fold,
            folds=run.folds,
            test_matrix=tuple(step.test_auc for step in steps),
            zero_shot=self._zero_shot(),
            test_rows={name: len(data) for name, data in self.driver.evaluation.of(TEST).items()},
            steps=tuple(StepFacts.of(step) for step in steps),
            total_parameters=self.method.total_parameters,
            peak_memory_bytes=peak_memory_bytes(),
            adapters=adapters,
            attention=attention,
            configuration=run.configuration.model_dump(mode="json"),
            versions=library_versions(),
            commit=commit(),
            hardware=hardware(threads),
            started_at=self.started_at,
            seconds=time.monotonic() - self.started,
        )

    def _zero_shot(self) -> dict[str, float]:
        measured = self.data.zero_shot()
        return {name: measured[name] for name in self.run.sequence}

    def _attention(self) -> tuple[tuple[str, ...], dict[str, list[list[float]]]]:
        served = self.method.served_network()
        if served is None or served[1].fusion is None:
            return (), {}
        network, route = served
        budget = self.run.configuration.token_budget
        return route.adapters, {
            name: mean_attention(network, self.method.tokenizer, route, data, budget)
            for name, data in self.driver.evaluation.of(TEST).items()
        }


def _say(line: str) -> None:
    print(line, flush=True)  # to the run's log
