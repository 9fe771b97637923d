"""The paper's Table 1: every method after every step of one sequence."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from training.experiments.report.table import (
    NONE,
    Cell,
    Number,
    ReportTable,
    Row,
    auc_after,
    count_cell,
    incomplete_note,
    mean_cell,
    n_cell,
    paired_differences,
    title_cell,
    total_parameters,
    trained_parameters,
    untrained_auc,
)
from training.experiments.statistics.runs import MarketplaceGroup, MethodRuns, Sequence_, Trial

_NOTE = (
    "Test ROC-AUC: mean ± standard deviation over n trials (seeds, and folds where there are any). `average` "
    "is over the marketplaces learnt so far. Parameters: `trained` in the row's last step; `total` to score "
    "every marketplace at the end."
)


def table_1(group: MarketplaceGroup, sequence: Sequence_) -> ReportTable:
    """The untrained encoder, every reference at its end, every method that learns on after every step."""
    rows = _untrained_rows(group, sequence)
    for method in group.methods:
        rows += [_row(group, method, sequence, step) for step in _steps(method, sequence)]
    return ReportTable(
        name=f"table1.{'+'.join(sequence)}",
        title=f"Table 1: {' → '.join(sequence)}",
        columns=("method", *sequence, "average", "trained", "total", "n"),
        rows=tuple(rows),
        notes=(f"{_NOTE} {_difference_note(group)}", *incomplete_note(group)),
    )


def _steps(method: MethodRuns, sequence: Sequence_) -> range:
    """The steps shown: from the second on, as the first has no older marketplace."""
    last = len(sequence) - 1
    if not method.is_continual:
        return range(last, last + 1)
    if not any(key.sequence == sequence for key in method.runs):
        return range(0)
    return range(min(1, last), last + 1)


def _row(group: MarketplaceGroup, method: MethodRuns, sequence: Sequence_, step: int) -> Row:
    learnt = sequence[: step + 1]
    is_end = len(learnt) == len(sequence)
    place = -1 if is_end else step
    aucs = [
        _marked(group, method, sequence, name, (name,), place) if name in learnt else Cell(NONE)
        for name in sequence
    ]
    return (
        title_cell(method, " → ".join(learnt) if method.is_continual else ""),
        *aucs,
        _marked(group, method, sequence, "average", learnt, place),
        _parameters("trained", method.by_trial(partial(trained_parameters, step=place), sequence)),
        _parameters("total", method.by_trial(total_parameters, sequence) if is_end else {}),
        n_cell(method, sequence),
    )


def _marked(
    group: MarketplaceGroup, method: MethodRuns, sequence: Sequence_, column: str, names: Sequence_, step: int
) -> Cell:
    """Mean and deviation, with the mean difference to Single Marketplace's end."""
    number: Number = partial(auc_after, step=step, names=names)
    reference: Number = partial(auc_after, step=-1, names=names)
    differences = paired_differences(method, number, group.single_marketplace, reference, sequence)
    difference = float(np.mean(list(differences.values()))) if differences else None
    return mean_cell(column, method.estimate(number, sequence), difference)


def _untrained_rows(group: MarketplaceGroup, sequence: Sequence_) -> list[Row]:
    """The untrained cosine; a row for every encoder and pair encoding that the methods differ in."""
    kinds = _kinds_of_untrained(group, sequence)
    rows = []
    for methods in kinds:
        title = "Untrained cosine" + (f" ({', '.join(m.label for m in methods)})" if len(kinds) > 1 else "")
        widest = max(methods, key=lambda method: len(method.by_trial(partial(untrained_auc, names=sequence))))
        means = [
            mean_cell(column, widest.estimate(partial(untrained_auc, names=names), sequence))
            for column, names in [*((name, (name,)) for name in sequence), ("average", sequence)]
        ]
        first = Cell(title, {"label": "untrained", "title": title, "after": ""})
        rows.append((first, *means, Cell(NONE), Cell(NONE), n_cell(widest, sequence)))
    return rows


def _kinds_of_untrained(group: MarketplaceGroup, sequence: Sequence_) -> list[list[MethodRuns]]:
    """Methods whose untrained encoder gives the same on every trial that they share."""
    kinds: list[tuple[dict[Trial, float], list[MethodRuns]]] = []
    for method in group.methods:
        values = method.by_trial(partial(untrained_auc, names=tuple(sorted(sequence))), sequence)
        for known, members in kinds:
            if all(known.get(trial, value) == value for trial, value in values.items()):
                known.update(values)
                members.append(method)
                break
        else:
            kinds.append((dict(values), [method]))
    return [members for known, members in kinds if known]


def _parameters(column: str, by_trial: Mapping[Trial, float]) -> Cell:
    return count_cell(column, float(np.mean(list(by_trial.values())))) if by_trial else Cell(NONE)


def _difference_note(group: MarketplaceGroup) -> str:
    single = group.single_marketplace
    if single is None:
        return "There is no Single Marketplace row to take differences to."
    return f"In parentheses: the mean difference to {single.title} over the trials that both have."
