"""How every figure looks: one colour, marker and line a method, readable in black and white."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from training.experiments.statistics.runs import MethodRuns

_SETTINGS: dict[RcKeyType, object] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "figure.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "svg.hashsalt": "continual-relevance",
}
_DOTS_PER_INCH = 160

# Colours that people with any colour vision tell apart (Okabe and Ito 2008, with shades of Paul Tol's); lines and
# markers tell them apart without colour.
_COLOURS = {
    "single_marketplace": "#666666",
    "sequential_finetuning": "#d55e00",
    "adapter": "#999933",
    "adapter_fusion_joint": "#000000",
    "attention_distillation": "#56b4e9",
    "attention_distillation_translation": "#0072b2",
    "hat": "#e69f00",
    "b_cl": "#cc79a7",
    "ctr": "#882255",
    "dytox": "#009e73",
}
_MORE_COLOURS = ("#44aa99", "#aa4499", "#661100", "#6699cc", "#117733", "#ddcc77", "#332288", "#cc6677")
_MARKERS = "osD^vP<X>*hpd8H"
_LINES: tuple[tuple[int, tuple[float, ...]], ...] = (
    (0, ()),
    (0, (5, 1.5)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
_PREFERRED_MARKERS = dict(zip(_COLOURS, "sXd*^oDPv<", strict=True))


@dataclass(frozen=True, slots=True)
class MethodStyle:
    """How a method is drawn."""

    colour: str
    marker: str
    line: tuple[int, tuple[float, ...]]


def method_styles(methods: Sequence[MethodRuns]) -> dict[str, MethodStyle]:
    """A style by label: a method's first row has the same colour and marker in every report.

    Further rows of the same method take what is left.
    """
    styles: dict[str, MethodStyle] = {}
    drawn: set[str] = set()
    for method in methods:
        is_first = method.method in _COLOURS and method.method not in drawn
        drawn.add(method.method)
        place = len(styles)
        free = [marker for marker in _MARKERS if marker not in _taken(styles, methods)] or list(_MARKERS)
        styles[method.label] = MethodStyle(
            _COLOURS[method.method] if is_first else _MORE_COLOURS[place % len(_MORE_COLOURS)],
            _PREFERRED_MARKERS[method.method] if is_first else free[place % len(free)],
            _LINES[place % len(_LINES)],
        )
    return styles


def _taken(styles: dict[str, MethodStyle], methods: Sequence[MethodRuns]) -> set[str]:
    """Markers in use, or kept for the first row of a method that is in the plan."""
    kept = {_PREFERRED_MARKERS[method.method] for method in methods if method.method in _PREFERRED_MARKERS}
    return kept | {style.marker for style in styles.values()}


def save_figure(path: Path, size: tuple[float, float], draw: Callable[[Figure], None]) -> None:
    """Draw a figure and write it as `path` with the endings .png and .svg; the same numbers give the same files.

    Args:
        path: without ending.
        size: width and height in inches.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(path.with_name(f"{path.name}.svg"), metadata={"Date": None})
        figure.savefig(path.with_name(f"{path.name}.png"), dpi=_DOTS_PER_INCH, metadata={"Software": None})


def add_legend(figure: Figure, width: float) -> None:
    """One legend for all panels, below them, each entry once."""
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    longest = max((len(label) for label in entries), default=1)
    columns = max(1, min(len(entries), int(width * 15 / (longest + 7))))
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns)
