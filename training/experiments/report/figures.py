"""All figures of a report, by what there is to show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.experiments.report.curves import draw_parameters, draw_shares, draw_steps
from training.experiments.report.details import attention_maps
from training.experiments.report.heat_maps import draw_attention, draw_matrices
from training.experiments.report.translation import share_curves
from training.experiments.statistics.runs import MarketplaceGroup, MethodRuns, Sequence_


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A figure that was drawn.

    Args:
        name: of its files, without ending.
    """

    name: str
    title: str
    caption: str


def draw_figures(group: MarketplaceGroup, folder: Path) -> Iterator[ReportFigure]:
    """Draw everything that the group's runs have numbers for."""
    yield from _share_figure(group, folder)
    for sequence in group.sequences:
        yield from _sequence_figures(group, sequence, folder)
    yield _parameters_figure(group, folder)
    yield from _attention_figures(group, folder)


def _share_figure(group: MarketplaceGroup, folder: Path) -> Iterator[ReportFigure]:
    curves = share_curves(group)
    if not curves:
        return
    figure = ReportFigure(
        f"figure4.{group.name}",
        f"Figure 4: the translated share, {', '.join(group.marketplaces)}",
        "Gain of all marketplaces but the last one learnt over the smallest share, and the time of all steps. "
        "Bars: 95 % t intervals over trials. Translations kept from an earlier run take no time.",
    )
    draw_shares(folder / figure.name, group, curves)
    yield figure


def _sequence_figures(group: MarketplaceGroup, sequence: Sequence_, folder: Path) -> Iterator[ReportFigure]:
    methods = [method for method in group.continual if _ran(method, sequence)]
    if not methods:
        return
    name, shown = "+".join(sequence), " → ".join(sequence)
    steps = ReportFigure(
        f"steps.{name}",
        f"AUC over the steps: {shown}",
        "Test ROC-AUC of every marketplace from the step on in which it was learnt; what it was before is in "
        "R below. Bars: 95 % t intervals over trials.",
    )
    draw_steps(folder / steps.name, group, methods, sequence)
    yield steps
    matrices = ReportFigure(
        f"matrix.{name}",
        f"R: {shown}",
        "Test ROC-AUC after every step (rows) on every marketplace (columns), mean over trials. Framed: when "
        "it was learnt. Above the frame: before; below it: what later steps left of it.",
    )
    draw_matrices(folder / matrices.name, methods, sequence)
    yield matrices


def _parameters_figure(group: MarketplaceGroup, folder: Path) -> ReportFigure:
    figure = ReportFigure(
        f"parameters.{group.name}",
        f"Parameters against AUC: {', '.join(group.marketplaces)}",
        "Final average test ROC-AUC against the parameters that the last step trained, and against all that "
        "are needed to score every marketplace. Bars: 95 % t intervals over trials.",
    )
    draw_parameters(folder / figure.name, group)
    return figure


def _attention_figures(group: MarketplaceGroup, folder: Path) -> Iterator[ReportFigure]:
    for method in group.methods:
        maps = attention_maps(group, method)
        if not maps:
            continue
        figure = ReportFigure(
            f"attention.{method.label}.{group.name}",
            f"Where the fusion looks: {method.title}",
            "Mean attention on every adapter, by layer and by the marketplace whose test rows are read, at "
            "the end; mean over trials and sequences.",
        )
        draw_attention(folder / figure.name, maps)
        yield figure


def _ran(method: MethodRuns, sequence: Sequence_) -> bool:
    return any(key.sequence == sequence for key in method.runs)
