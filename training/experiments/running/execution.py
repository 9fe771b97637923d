"""One run: a method learns a sequence, marketplace by marketplace, and is measured after every step."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from model_store.files import read_json, write_json
from model_store.versions.store import ModelStore
from training.evaluation import roc_auc
from training.experiments.plan.planned_run import PlannedRun, method_named
from training.experiments.running.fusion_attention import mean_attention
from training.experiments.running.machine import commit, hardware, library_versions, peak_memory_bytes
from training.experiments.running.output_folder import OutputFolder
from training.experiments.running.run_result import FinalScores, RunResult, StepFacts, StepResult, write_result
from training.experiments.running.work_folder import work_folder
from training.methods.base import MethodContext
from training.methods.replay_guard import lent_rows
from training.runs.publishing import publish_method
from training.runs.translated_rows import translated_rows
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows

ALL_TOGETHER = "all"
"""The one step of a joint method."""
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
        self.run, self.output, self.work = run, output, work
        self.data = output.data_of(run)
        self.started_at, self.started = datetime.now(UTC), time.monotonic()
        self.context = MethodContext.of(run.configuration, work / "method")
        self.tokenizer = self.context.tokenizer
        self.method = method_named(run.method, run.label)(self.context)
        self.test = {name: self._tokens(name, "test") for name in run.sequence}
        self.scores: dict[str, FinalScores] = {}
        self.translation_seconds = 0.0
        self.train_rows = 0
        self.translated_rows: dict[str, int] = {}

    def learn_all(self) -> list[StepResult]:
        """Every step with its row of R."""
        if self.method.is_joint:
            return [self._step(ALL_TOGETHER, self._learn_together)]
        return [self._step(name, lambda name=name: self._learn(name)) for name in self.run.sequence]  # type: ignore[misc]

    def final_scores(self) -> dict[str, FinalScores]:
        """Labels and logits of all test rows with the weights as they are."""
        return self.scores or self._scored()

    def publish(self, folder: Path, steps: list[StepResult]) -> int | None:
        """Publish what the model store can hold of the method, and return the newest version's number."""
        if folder.exists():  # of a process that was interrupted before it wrote its result
            shutil.rmtree(folder)
        names = self.run.sequence
        rows = {name: {part: self.data.rows(name, part) for part in ("validation", "test")} for name in names}
        matrix = [step.test_auc for step in steps]
        trained = {step.facts.marketplace: step.facts.trainable_parameters for step in steps}
        store, zero_shot = ModelStore(folder), self.data.zero_shot()
        published = publish_method(self.method, store, self.run.name, rows, matrix, zero_shot, trained)
        return published[-1].number if published else None

    def result(self, steps: list[StepResult], threads: int) -> RunResult:
        """The run as the report reads it."""
        run, zero_shot = self.run, self.data.zero_shot()
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
            zero_shot={name: zero_shot[name] for name in run.sequence},
            test_rows={name: len(data) for name, data in self.test.items()},
            steps=tuple(step.facts for step in steps),
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

    def _step(self, marketplace: str, learn: Callable[[], None]) -> StepResult:
        """Learn and measure; what an interrupted process measured before is kept."""
        path = self.work / "steps" / f"{len(self.method.marketplaces) + 1:04d}-{marketplace}.json"
        started = time.monotonic()
        learn()
        seconds = time.monotonic() - started
        self.scores = {}
        kept = read_json(path)
        if kept is not None:
            return StepResult.model_validate(kept)
        facts = StepFacts(
            marketplace=marketplace,
            seconds=seconds,
            translation_seconds=self.translation_seconds,
            trainable_parameters=self.method.trainable_parameters,
            train_rows=self.train_rows,
            translated_rows=self.translated_rows,
        )
        scores = self.final_scores()
        result = StepResult(
            facts=facts, test_auc={name: roc_auc(s.labels, s.logits) for name, s in scores.items()}
        )
        write_json(path, result.model_dump(mode="json"))
        summary = "  ".join(f"{name} {auc:.4f}" for name, auc in result.test_auc.items())
        print(f"learnt {marketplace} in {seconds:.1f} s: test ROC-AUC {summary}", flush=True)
        return result

    def _learn(self, marketplace: str) -> None:
        older = list(self.method.marketplaces)
        with lent_rows(self.method.name) as lend:
            self.method.learn(lend(self._rows(marketplace, older)))

    def _learn_together(self) -> None:
        rows = {name: self._rows(name, []) for name in self.run.sequence}
        self.train_rows = sum(len(one.train) for one in rows.values())
        self.method.learn_together(rows)

    def _rows(self, marketplace: str, older: list[str]) -> MarketplaceRows:
        pairs = self.data.rows(marketplace, "train")
        started = time.monotonic()
        translated: dict[str, LabelledTokens] = {}
        if self.method.uses_translation:
            configuration, cache = self.run.configuration, self.output.translations
            translated = translated_rows(pairs, older, configuration, self.tokenizer, cache)
        self.translation_seconds = time.monotonic() - started
        self.train_rows = len(pairs)
        self.translated_rows = {name: len(data) for name, data in translated.items()}
        return MarketplaceRows(
            marketplace,
            train=LabelledTokens.of(pairs, self.tokenizer),
            validation=self._tokens(marketplace, "validation"),
            translated=translated,
        )

    def _scored(self) -> dict[str, FinalScores]:
        untrained = self.data.untrained_cosine()
        return {
            name: FinalScores(
                labels=data.labels,
                logits=self.method.logits(name, data.tokenized),
                queries=np.asarray(data.tokenized.query_index, dtype=np.int32),
                untrained=untrained[name],
            )
            for name, data in self.test.items()
        }

    def _tokens(self, marketplace: str, part: str) -> LabelledTokens:
        return LabelledTokens.of(self.data.rows(marketplace, part), self.tokenizer)

    def _attention(self) -> tuple[tuple[str, ...], dict[str, list[list[float]]]]:
        served = self.method.served_network()
        if served is None or served[1].fusion is None:
            return (), {}
        network, route = served
        budget = self.run.configuration.token_budget
        return route.adapters, {
            name: mean_attention(network, self.tokenizer, route, data, budget) for name, data in self.test.items()
        }
