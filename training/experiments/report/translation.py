"""What translating a share of the new rows buys and costs: the numbers of the paper's Figure 4."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from training.experiments.report.table import (
    Cell,
    ReportTable,
    auc_after,
    interval_cell,
    title_cell,
    training_seconds,
    translated_share,
    translation_seconds,
)
from training.experiments.running.run_result import RunResult
from training.experiments.statistics.runs import MarketplaceGroup, MethodRuns, Sequence_
from training.experiments.statistics.summary import Estimate, estimate

_NOT_COMPARED = ("translation", "translated_share", "seed")


@dataclass(frozen=True, slots=True)
class SharePoint:
    """One share of one method.

    Args:
        gain: final ROC-AUC of the marketplaces before the last one less that of the smallest share, paired by
            trial and averaged over them and over sequences.
        training_seconds: of all steps, without translation.
    """

    method: MethodRuns
    share: float
    gain: Estimate
    training_seconds: Estimate
    translation_seconds: Estimate


def share_curves(group: MarketplaceGroup) -> list[list[SharePoint]]:
    """Rows of the plan that differ in the translated share alone, by share; none where a plan varies it not."""
    alike: dict[str, dict[float, MethodRuns]] = {}
    for method in group.continual:
        first = method.results[0]
        compared = {key: value for key, value in first.configuration.items() if key not in _NOT_COMPARED}
        key = json.dumps([method.method, compared], sort_keys=True, default=str)
        alike.setdefault(key, {}).setdefault(translated_share(first), method)
    return [_curve(shares) for shares in alike.values() if len(shares) > 1 and len(group.marketplaces) > 1]


def share_table(group: MarketplaceGroup, curves: Sequence[Sequence[SharePoint]]) -> ReportTable:
    """The figure's numbers."""
    return ReportTable(
        name=f"figure4.{group.name}",
        title=f"Figure 4: the translated share, {', '.join(group.marketplaces)}",
        columns=("method", "share", "gain of the older marketplaces", "training, s", "translation, s", "n"),
        rows=tuple(_row(point) for curve in curves for point in curve),
        notes=(
            "Gain: final test ROC-AUC of all marketplaces but the last one learnt, less that at the smallest "
            "share. Training: all steps, without translation, which is near zero where translations were kept "
            "from an earlier run. Means over n trials with 95 % t intervals.",
        ),
    )


def _curve(shares: dict[float, MethodRuns]) -> list[SharePoint]:
    reference = shares[min(shares)]
    points = []
    for share, method in sorted(shares.items()):
        gain = estimate(_gains(method, reference), method.folds)
        seconds, translation = method.estimate(training_seconds), method.estimate(translation_seconds)
        if gain and seconds and translation:
            points.append(SharePoint(method, share, gain, seconds, translation))
    return points


def _gains(method: MethodRuns, reference: MethodRuns) -> list[float]:
    ours, theirs = method.by_trial(_older), reference.by_trial(_older)
    return [ours[trial] - theirs[trial] for trial in ours if trial in theirs]


def _older(result: RunResult) -> float | None:
    older: Sequence_ = result.sequence[:-1]
    return auc_after(result, -1, older) if older else None


def _row(point: SharePoint) -> tuple[Cell, ...]:
    return (
        title_cell(point.method),
        Cell(f"{point.share:.0%}", {"translated_share": point.share}),
        interval_cell("gain", point.gain),
        _seconds("training_seconds", point.training_seconds),
        _seconds("translation_seconds", point.translation_seconds),
        Cell(str(point.gain.n), {"n": point.gain.n}),
    )


def _seconds(column: str, found: Estimate) -> Cell:
    deviation = "" if found.std is None else f" ± {found.std:.1f}"
    return Cell(f"{found.mean:.1f}{deviation}", {f"{column}_mean": found.mean, f"{column}_std": found.std})
