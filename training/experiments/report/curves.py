"""Figures of means with their intervals: AUC over the steps, against parameters, against the translated share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

from training.experiments.report.style import MethodStyle, add_legend, method_styles, save_figure
from training.experiments.report.table import (
    Number,
    auc_after,
    total_parameters,
    trained_parameters,
    untrained_auc,
)
from training.experiments.report.translation import SharePoint
from training.experiments.statistics.runs import MarketplaceGroup, MethodRuns, Sequence_
from training.experiments.statistics.summary import Estimate, average

_MOST_IN_A_ROW = 3


def draw_steps(path: Path, group: MarketplaceGroup, methods: Sequence[MethodRuns], sequence: Sequence_) -> None:
    """ROC-AUC of every marketplace from the step on in which it is learnt, for one sequence.

    Args:
        methods: those that learn on.
    """
    styles = method_styles(group.methods)
    columns = min(len(sequence), 2 if len(sequence) == 4 else _MOST_IN_A_ROW)
    rows = -(-len(sequence) // columns)
    size = (1.0 + 3.0 * columns, 0.8 + 2.3 * rows + 0.1 * len(methods))

    def draw(figure: Figure) -> None:
        grid = figure.add_gridspec(rows, columns)
        for place, name in enumerate(sequence):
            axes = figure.add_subplot(grid[place // columns, place % columns])
            for number, method in enumerate(methods):
                shift = 0.3 * ((number + 0.5) / len(methods) - 0.5)
                _draw_steps_of(axes, method, sequence, name, styles[method.label], shift)
            _draw_single(axes, group, sequence, name)
            axes.set_title(_step_title(group, sequence, name))
            axes.set_xticks(range(len(sequence)), [f"{step + 1}: {one}" for step, one in enumerate(sequence)])
            axes.set_xlim(-0.4, len(sequence) - 0.6)
            axes.set_xlabel("step: marketplace learnt")
            axes.set_ylabel("test ROC-AUC")
        add_legend(figure, size[0])

    save_figure(path, size, draw)


def draw_parameters(path: Path, group: MarketplaceGroup) -> None:
    """Final average ROC-AUC against the parameters that a step trains, and against all of them."""
    styles = method_styles(group.methods)
    size = (7.2, 3.0 + 0.13 * len(group.methods))

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, 2, sharey=True)
        titles = ("parameters trained in the last step", "parameters in all")
        numbers: tuple[Number, ...] = (partial(trained_parameters, step=-1), total_parameters)
        for axes, title, number in zip(panels, titles, numbers, strict=True):
            for method in group.methods:
                found, parameters = method.estimate(average), method.estimate(number)
                if found and parameters:
                    _draw_point(axes, parameters.mean, found, method.title, styles[method.label])
            axes.set_xlabel(title)
        panels[0].set_xscale("log")
        for axes in panels:
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.margins(x=0.1, y=0.1)
        panels[0].set_ylabel("final average test ROC-AUC")
        add_legend(figure, size[0])

    save_figure(path, size, draw)


def draw_shares(path: Path, group: MarketplaceGroup, curves: Sequence[Sequence[SharePoint]]) -> None:
    """The paper's Figure 4: gain of the older marketplaces, and training time, against the translated share."""
    styles = method_styles(group.methods)
    size = (5.2, 5.2)

    def draw(figure: Figure) -> None:
        gain, seconds = figure.subplots(2, 1, sharex=True)
        for curve in curves:
            labels = [point.method.label for point in curve]
            first = next(method for method in group.methods if method.label in labels)
            _draw_share_curve(
                gain, seconds, curve, f"{first.title}: " if len(curves) > 1 else "", styles[first.label]
            )
        gain.axhline(0, color="#666666", linewidth=0.8)
        gain.set_ylabel("ROC-AUC gain of the\nolder marketplaces")
        gain.set_title(f"gain over {curves[0][0].share:.0%} translated", loc="left")
        seconds.set_title("time of all steps of a run", loc="left")
        seconds.set_ylabel("seconds")
        seconds.set_ylim(bottom=0)
        seconds.set_xlabel("share of the new training rows translated into the older languages")
        seconds.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        seconds.set_xticks(sorted({point.share for curve in curves for point in curve}))
        add_legend(figure, size[0])

    save_figure(path, size, draw)


def _draw_steps_of(
    axes: Axes, method: MethodRuns, sequence: Sequence_, name: str, style: MethodStyle, shift: float
) -> None:
    found = {
        step: method.estimate(partial(auc_after, step=step, names=(name,)), sequence)
        for step in range(sequence.index(name), len(sequence))
    }
    points = {step: one for step, one in found.items() if one is not None}
    _draw_line(axes, {step + shift: one for step, one in points.items()}, method.title, style)


def _draw_single(axes: Axes, group: MarketplaceGroup, sequence: Sequence_, name: str) -> None:
    single = group.single_marketplace
    found = single.estimate(partial(auc_after, step=-1, names=(name,)), sequence) if single else None
    if single and found:
        axes.axhline(
            found.mean, color="#666666", linestyle=(0, (6, 2)), linewidth=1.1, label=single.title, zorder=1
        )


def _step_title(group: MarketplaceGroup, sequence: Sequence_, name: str) -> str:
    widest = max(group.methods, key=lambda method: len(method.runs))
    found = widest.estimate(partial(untrained_auc, names=(name,)), sequence)
    return name if found is None else f"{name} (untrained cosine {found.mean:.3f})"


def _draw_share_curve(
    gain: Axes, seconds: Axes, curve: Sequence[SharePoint], prefix: str, style: MethodStyle
) -> None:
    translating = MethodStyle(style.colour, "x", (0, (1, 1.2)))
    times = {point.share: point.translation_seconds for point in curve}
    _draw_line(gain, {point.share: point.gain for point in curve}, f"{prefix}gain", style)
    _draw_line(seconds, {point.share: point.training_seconds for point in curve}, f"{prefix}training", style)
    _draw_line(seconds, times, f"{prefix}translating", translating)


def _draw_line(axes: Axes, points: Mapping[float, Estimate], title: str, style: MethodStyle) -> None:
    axes.errorbar(
        list(points),
        [found.mean for found in points.values()],
        yerr=[found.half_width for found in points.values()],
        color=style.colour,
        marker=style.marker,
        linestyle=style.line,
        capsize=2,
        elinewidth=0.8,
        label=title,
    )


def _draw_point(axes: Axes, x: float, found: Estimate, title: str, style: MethodStyle) -> None:
    axes.errorbar(
        x,
        found.mean,
        yerr=found.half_width,
        color=style.colour,
        marker=style.marker,
        linestyle="",
        markersize=7,
        markeredgecolor="black",
        markeredgewidth=0.5,
        capsize=2,
        elinewidth=0.8,
        label=title,
    )
