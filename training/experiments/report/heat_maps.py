"""Figures of grids of numbers: R by method, and where a fusion looks."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from training.experiments.report.style import save_figure
from training.experiments.report.table import auc_after, untrained_auc
from training.experiments.statistics.runs import MethodRuns, Sequence_

_COLOURS = "cividis"  # from dark to light without a turn: it reads the same in grey
_MOST_IN_A_ROW = 4
_MOST_NUMBERS = 100


def draw_matrices(path: Path, methods: Sequence[MethodRuns], sequence: Sequence_) -> None:
    """R of every method for one sequence, the untrained encoder above; frames are where one was just learnt."""
    matrices = {method.title: _matrix(method, sequence) for method in methods}
    values = np.concatenate([matrix[np.isfinite(matrix)] for matrix in matrices.values()])
    low, high = float(values.min()), float(values.max())
    steps = ["untrained", *(f"after {name}" for name in sequence)]

    def draw(figure: Figure) -> None:
        panels = _panels(figure, len(matrices))
        for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
            image = _draw_grid(axes, matrix, sequence, steps, (low, high), "{:.3f}")
            axes.set_title(_wrapped(title))
            for place in range(len(sequence)):
                axes.add_patch(_frame(place, place + 1))
        _hide_inner_labels(panels)
        figure.supxlabel("tested on")
        figure.colorbar(image, ax=panels, label="test ROC-AUC", shrink=0.8)

    save_figure(path, _size(len(matrices), len(sequence), len(steps)), draw)


def draw_attention(path: Path, maps: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Layers by adapters, a panel for each marketplace whose rows are read.

    Args:
        maps: (layers, adapters) by marketplace; the adapters are in the order of its keys.
    """
    names = tuple(maps)
    grids = {name: np.asarray(layers)[::-1] for name, layers in maps.items()}
    depth = len(next(iter(grids.values())))
    layers = [str(layer) for layer in range(depth, 0, -1)]

    def draw(figure: Figure) -> None:
        panels = _panels(figure, len(grids))
        for axes, (name, grid) in zip(panels, grids.items(), strict=True):
            image = _draw_grid(axes, grid, names, layers, (0.0, 1.0), "{:.2f}")
            axes.set_title(f"rows of {name}")
        _hide_inner_labels(panels)
        figure.supxlabel("adapter")
        figure.supylabel("layer")
        figure.colorbar(image, ax=panels, label="mean attention", shrink=0.8)

    save_figure(path, _size(len(grids), len(names), depth), draw)


def _matrix(method: MethodRuns, sequence: Sequence_) -> np.ndarray:
    """(steps + 1, marketplaces) means over trials, the untrained encoder first; NaN where there is no number."""
    matrix = np.full((len(sequence) + 1, len(sequence)), np.nan)
    for column, name in enumerate(sequence):
        numbers = [partial(untrained_auc, names=(name,))]
        numbers += [partial(auc_after, step=step, names=(name,)) for step in range(len(sequence))]
        for row, number in enumerate(numbers):
            found = method.estimate(number, sequence)
            if found is not None:
                matrix[row, column] = found.mean
    return matrix


def _draw_grid(
    axes: Axes,
    grid: np.ndarray,
    columns: Sequence[str],
    rows: Sequence[str],
    limits: tuple[float, float],
    form: str,
) -> AxesImage:
    low, high = limits[0], max(limits[1], limits[0] + 1e-3)
    image = axes.imshow(grid, cmap=_COLOURS, vmin=low, vmax=high, aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    if grid.size <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                colour = "white" if value < low + 0.55 * (high - low) else "black"
                axes.text(column, row, form.format(value), ha="center", va="center", color=colour, fontsize=7.5)
    return image


def _frame(column: int, row: int) -> Rectangle:
    return Rectangle((column - 0.47, row - 0.46), 0.94, 0.92, fill=False, edgecolor="white", linewidth=1.6)


def _panels(figure: Figure, number: int) -> list[Axes]:
    columns = min(number, _MOST_IN_A_ROW)
    rows = -(-number // columns)
    grid = figure.add_gridspec(rows, columns)
    return [figure.add_subplot(grid[place // columns, place % columns]) for place in range(number)]


def _hide_inner_labels(panels: Sequence[Axes]) -> None:
    for place, axes in enumerate(panels):
        if place % min(len(panels), _MOST_IN_A_ROW):
            axes.tick_params(labelleft=False)


def _size(panels: int, columns: int, rows: int) -> tuple[float, float]:
    across = min(panels, _MOST_IN_A_ROW)
    down = -(-panels // across)
    return 1.9 + across * max(1.3, 0.5 * columns), 0.7 + down * (0.5 + 0.3 * max(rows, 2))


def _wrapped(title: str) -> str:
    return "\n".join(textwrap.wrap(title, 24))
