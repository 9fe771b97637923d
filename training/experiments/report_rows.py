"""What rows of several tables share: the title of a method, its number of trials, paired differences."""

from __future__ import annotations

from collections.abc import Callable

from training.experiments.report.runs import MarketplaceGroup, MethodRuns, Sequence_, Trial
from training.experiments.report.table import Cell
from training.experiments.running.run_result import RunResult
from training.experiments.statistics.summary import average

Number = Callable[[RunResult], float | None]
Row = tuple[Cell, ...]


def title_cell(method: MethodRuns, after: str = "") -> Cell:
    """The method's title, with a mark where planned runs are missing."""
    text = method.title + (f": {after}" if after else "") + ("" if method.is_complete else " †")
    return Cell(text, {"label": method.label, "title": method.title, "after": after})


def n_cell(method: MethodRuns, sequence: Sequence_ | None = None) -> Cell:
    """How many trials the row's means are over."""
    n = len(method.by_trial(average, sequence))
    return Cell(str(n), {"n": n})


def incomplete_note(group: MarketplaceGroup) -> tuple[str, ...]:
    """What the mark means, where there is one."""
    if all(method.is_complete for method in group.methods):
        return ()
    return ("† Some of the row's planned runs are missing; its numbers are of those that are finished.",)


def paired_differences(
    method: MethodRuns,
    number: Number,
    reference: MethodRuns | None,
    reference_number: Number,
    sequence: Sequence_ | None = None,
) -> dict[Trial, float]:
    """A number less a reference's, in every trial that both have; empty for the reference itself."""
    if reference is None or reference.label == method.label:
        return {}
    ours, theirs = method.by_trial(number, sequence), reference.by_trial(reference_number, sequence)
    return {trial: ours[trial] - theirs[trial] for trial in ours if trial in theirs}
