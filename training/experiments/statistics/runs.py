"""The finished runs of a plan as a report needs them: by marketplaces, method, sequence and trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.experiments.plan.plan import ExperimentPlan
from training.experiments.running.run_result import RunResult
from training.experiments.statistics.summary import Estimate, estimate

SINGLE_MARKETPLACE = "single_marketplace"

Sequence_ = tuple[str, ...]
"""Marketplaces in the order of learning."""


class Trial(NamedTuple):
    """What is repeated: one seed and, with cross-validation, one fold (-1 without)."""

    seed: int
    fold: int


class RunKey(NamedTuple):
    """Tells the runs of one row of the tables apart."""

    sequence: Sequence_
    trial: Trial


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A result and the folder that it is in."""

    folder: Path
    result: RunResult

    @property
    def key(self) -> RunKey:
        """Sequence and trial."""
        fold = -1 if self.result.fold is None else self.result.fold
        return RunKey(self.result.sequence, Trial(self.result.seed, fold))

    @property
    def name(self) -> str:
        """As the runner names its folder."""
        return run_name(self.result.label, self.key)


@dataclass(frozen=True, slots=True)
class MethodRuns:
    """One row of the tables: a method with its settings, all runs on one set of marketplaces."""

    label: str
    title: str
    method: str
    is_continual: bool
    runs: dict[RunKey, FinishedRun]
    is_complete: bool = True

    @property
    def results(self) -> list[RunResult]:
        """All results."""
        return [run.result for run in self.runs.values()]

    @property
    def folds(self) -> int | None:
        """Of the cross-validation, if that is what the trials are from."""
        return self.results[0].folds

    def by_trial(
        self, number: Callable[[RunResult], float | None], sequence: Sequence_ | None = None
    ) -> dict[Trial, float]:
        """A number of every run, averaged over sequences within each trial; runs that have none are left out.

        Args:
            sequence: take this one alone. A method that does not learn on has one order for all.
        """
        values: dict[Trial, list[float]] = {}
        for key, run in self.runs.items():
            value = number(run.result)
            if value is not None and (sequence is None or not self.is_continual or key.sequence == sequence):
                values.setdefault(key.trial, []).append(value)
        return {trial: float(np.mean(values[trial])) for trial in sorted(values)}

    def estimate(
        self, number: Callable[[RunResult], float | None], sequence: Sequence_ | None = None
    ) -> Estimate | None:
        """Mean over trials, with deviation and interval, of what `by_trial` gives."""
        return estimate(list(self.by_trial(number, sequence).values()), self.folds)


@dataclass(frozen=True, slots=True)
class MarketplaceGroup:
    """All rows on one set of marketplaces: what can be compared.

    Args:
        marketplaces: in the order of the first sequence.
        sequences: orders that continual methods learnt in.
    """

    marketplaces: Sequence_
    sequences: tuple[Sequence_, ...]
    methods: tuple[MethodRuns, ...]

    @property
    def name(self) -> str:
        """For files."""
        return "+".join(self.marketplaces)

    @property
    def continual(self) -> list[MethodRuns]:
        """The rows that learn on."""
        return [method for method in self.methods if method.is_continual]

    @property
    def single_marketplace(self) -> MethodRuns | None:
        """The row that differences are taken to: the first Single Marketplace of the plan."""
        return next((method for method in self.methods if method.method == SINGLE_MARKETPLACE), None)


@dataclass(frozen=True, slots=True)
class ReportRuns:
    """Everything that was found.

    Args:
        plan: None where the folder holds none.
        missing: names of planned runs without a result.
        unplanned: names of finished runs that the plan does not name; they are in no table.
    """

    folder: Path
    plan: ExperimentPlan | None
    runs: tuple[FinishedRun, ...]
    missing: tuple[str, ...]
    unplanned: tuple[str, ...]
    groups: tuple[MarketplaceGroup, ...]

    @property
    def name(self) -> str:
        """The plan's."""
        return self.runs[0].result.plan


def run_name(label: str, key: RunKey) -> str:
    """A run's name, the same as its folder's."""
    fold = "" if key.trial.fold < 0 else f".fold{key.trial.fold}"
    return f"{label}.{'+'.join(key.sequence)}.seed{key.trial.seed}{fold}"
