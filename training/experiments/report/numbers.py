"""Numbers of one run that tables and figures show; None where a run has no such number."""

from __future__ import annotations

from training.experiments.running.run_result import RunResult
from training.experiments.statistics.runs import Sequence_
from training.experiments.statistics.summary import mean_of_all


def auc_after(result: RunResult, step: int, names: Sequence_) -> float | None:
    """Mean ROC-AUC over some marketplaces after a step; -1 is the last."""
    row = result.test_matrix[step] if step < len(result.test_matrix) else {}
    return mean_of_all(row.get(name) for name in names)


def untrained_auc(result: RunResult, names: Sequence_) -> float | None:
    """Mean over some marketplaces of the untrained cosine's ROC-AUC."""
    return mean_of_all(result.zero_shot.get(name) for name in names)


def gain_over_untrained(result: RunResult, names: Sequence_) -> float | None:
    """Final ROC-AUC less the untrained cosine's, mean over some marketplaces."""
    final, untrained = auc_after(result, -1, names), untrained_auc(result, names)
    return None if final is None or untrained is None else final - untrained


def trained_parameters(result: RunResult, step: int) -> float | None:
    """Weights that a step trained; -1 is the last."""
    return float(result.steps[step].trainable_parameters) if step < len(result.steps) else None


def total_parameters(result: RunResult) -> float:
    """Weights that are needed to score all marketplaces."""
    return float(result.total_parameters)


def training_seconds(result: RunResult) -> float:
    """Training time of all steps without translation, which may have been kept from an earlier run."""
    return sum(step.seconds - step.translation_seconds for step in result.steps)


def translation_seconds(result: RunResult) -> float:
    """Time that translating took in all steps."""
    return sum(step.translation_seconds for step in result.steps)


def translated_share(result: RunResult) -> float:
    """Share of the new training rows that was translated: 0 where nothing was."""
    share = result.configuration.get("translated_share")
    translates = any(step.translated_rows for step in result.steps)
    return float(share) if translates and isinstance(share, int | float) else 0.0
