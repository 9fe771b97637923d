"""The paper's Table 2, every method against the references, and every two methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from training.experiments.report.table import (
    NONE,
    Cell,
    ReportTable,
    Row,
    Value,
    auc_after,
    gain_over_untrained,
    incomplete_note,
    interval_cell,
    mean_cell,
    n_cell,
    paired_differences,
    signed,
    text_cell,
    title_cell,
)
from training.experiments.statistics.runs import SINGLE_MARKETPLACE, MarketplaceGroup, MethodRuns
from training.experiments.statistics.significance import AVERAGE, UNTRAINED, Comparison
from training.experiments.statistics.summary import METRICS, average, estimate

_TABLE_2 = (
    "Final test ROC-AUC: mean ± standard deviation over n trials, each averaged over the sequences. In "
    "brackets: the 95 % t interval of the mean over trials; none where n = 1. The best rival is the best row "
    "of another method; the difference is over the runs that both have, in brackets the 95 % interval of a "
    "paired bootstrap over test {unit}, with the p value adjusted for the table's comparisons (Holm); * where "
    "it is below 0.05."
)
_REFERENCES = (
    "Final test ROC-AUC less the untrained encoder's cosine on the same rows, by marketplace and on average; "
    "then the average less Single Marketplace's. Means over n trials with 95 % t intervals of the paired "
    "differences; none where n = 1."
)
_REFERENCE_ROWS = (
    "The same differences with 95 % intervals of a paired bootstrap over test {unit}; * where the p value, "
    "adjusted for the column's comparisons (Holm), is below 0.05. Over the trials whose results keep the "
    "untrained cosine of every row."
)


def table_2(group: MarketplaceGroup, comparisons: Mapping[str, Comparison], unit: str) -> ReportTable:
    """The methods that learn on, at the end, averaged over sequences.

    Args:
        unit: what the bootstrap drew.
    """
    titles = {method.label: method.title for method in group.methods}
    number = len(group.sequences)
    over = f"averaged over {number} sequences" if number > 1 else "one sequence"
    metrics = tuple(name.replace("_", " ") for name in METRICS)
    return ReportTable(
        name=f"table2.{group.name}",
        title=f"Table 2: {', '.join(group.marketplaces)}, {over}",
        columns=("method", *group.marketplaces, *metrics, "against the best rival", "n"),
        rows=tuple(_row(group, method, comparisons.get(method.label), titles) for method in group.continual),
        notes=(_TABLE_2.format(unit=unit), *incomplete_note(group)),
    )


def reference_table(group: MarketplaceGroup) -> ReportTable:
    """Every method less the untrained encoder, and less Single Marketplace."""
    return ReportTable(
        name=f"references.{group.name}",
        title=f"Against the references: {', '.join(group.marketplaces)}",
        columns=("method", *group.marketplaces, "average", "average over Single Marketplace", "n"),
        rows=tuple(_reference_row(group, method) for method in group.methods),
        notes=(_REFERENCES, *incomplete_note(group)),
    )


def reference_rows_table(
    group: MarketplaceGroup, comparisons: Mapping[tuple[str, str, str], Comparison], unit: str
) -> ReportTable:
    """Every method less the references on the same test rows, with intervals of the bootstrap.

    Args:
        comparisons: by label, rival and what they are of.
        unit: what the bootstrap drew.
    """
    single = "" if group.single_marketplace is None else group.single_marketplace.label
    places = [*((UNTRAINED, name) for name in (*group.marketplaces, AVERAGE)), (single, AVERAGE)]

    def differences(label: str) -> list[Cell]:
        return [
            _bootstrap_cell(f"{of}_over_{rival or SINGLE_MARKETPLACE}", comparisons.get((label, rival, of)))
            for rival, of in places
        ]

    return ReportTable(
        name=f"references_rows.{group.name}",
        title=f"Against the references over test {unit}: {', '.join(group.marketplaces)}",
        columns=("method", *group.marketplaces, "average", "average over Single Marketplace", "n"),
        rows=tuple((title_cell(method), *differences(method.label), n_cell(method)) for method in group.methods),
        notes=(_REFERENCE_ROWS.format(unit=unit), *incomplete_note(group)),
    )


def comparison_table(group: MarketplaceGroup, comparisons: Sequence[Comparison], unit: str) -> ReportTable:
    """Every two methods; the first column's less the second's.

    Args:
        unit: what the bootstrap drew.
    """
    titles = {method.label: method.title for method in group.methods}
    return ReportTable(
        name=f"comparisons.{group.name}",
        title=f"Every two methods: {', '.join(group.marketplaces)}",
        columns=("method", "less", "of", "difference over trials", "paired bootstrap", "p", "n"),
        rows=tuple(_pair(comparison, titles) for comparison in comparisons),
        notes=(
            "Difference of the final ROC-AUC with its 95 % t interval over trials, then the 95 % interval of the "
            f"paired bootstrap over test {unit} and its p value, adjusted (Holm) for all comparisons of the "
            "average, or of the same marketplace.",
        ),
    )


def _row(
    group: MarketplaceGroup, method: MethodRuns, comparison: Comparison | None, titles: Mapping[str, str]
) -> Row:
    finals = [
        mean_cell(name, method.estimate(partial(auc_after, step=-1, names=(name,))))
        for name in group.marketplaces
    ]
    metrics = [
        interval_cell(name, method.estimate(metric), sign=name != "average") for name, metric in METRICS.items()
    ]
    return (title_cell(method), *finals, *metrics, _against_rival(comparison, titles), n_cell(method))


def _reference_row(group: MarketplaceGroup, method: MethodRuns) -> Row:
    columns = [*((name, (name,)) for name in group.marketplaces), ("average", group.marketplaces)]
    over_untrained = [
        interval_cell(f"{column}_over_untrained", method.estimate(partial(gain_over_untrained, names=names)))
        for column, names in columns
    ]
    differences = paired_differences(method, average, group.single_marketplace, average)
    over_single = estimate(list(differences.values()), method.folds)
    return (
        title_cell(method),
        *over_untrained,
        interval_cell("average_over_single_marketplace", over_single),
        n_cell(method),
    )


def _against_rival(found: Comparison | None, titles: Mapping[str, str]) -> Cell:
    if found is None:
        return Cell(NONE, {"rival": None})
    text = (
        f"{signed(found.difference)} [{signed(found.low)}, {signed(found.high)}], "
        f"p {_p_value(found)}{' *' if found.is_significant else ''} ({titles[found.rival]})"
    )
    return Cell(text, {"rival": found.rival, **comparison_values(found)})


def _p_value(found: Comparison) -> str:
    return "< 0.001" if found.adjusted_p_value < 0.0005 else f"= {found.adjusted_p_value:.3f}"


def _bootstrap_cell(column: str, found: Comparison | None) -> Cell:
    if found is None:
        return Cell(NONE, {f"{column}_difference": None})
    mark = " *" if found.is_significant else ""
    text = f"{signed(found.difference)} [{signed(found.low)}, {signed(found.high)}]{mark}"
    return Cell(text, {f"{column}_{name}": value for name, value in comparison_values(found).items()})


def comparison_values(found: Comparison) -> dict[str, Value]:
    """A comparison's numbers by CSV column."""
    return {
        "difference": found.difference,
        "difference_t_low": found.over_trials.low,
        "difference_t_high": found.over_trials.high,
        "difference_low": found.low,
        "difference_high": found.high,
        "p_value": found.p_value,
        "adjusted_p_value": found.adjusted_p_value,
    }


def _pair(found: Comparison, titles: Mapping[str, str]) -> Row:
    mark = " *" if found.is_significant else ""
    values = comparison_values(found)
    return (
        Cell(titles[found.label], {"label": found.label}),
        Cell(titles[found.rival], {"rival": found.rival}),
        text_cell("of", found.of),
        Cell(interval_cell("", found.over_trials).text, values),
        Cell(f"[{signed(found.low)}, {signed(found.high)}]"),
        Cell(f"p {_p_value(found)}{mark}"),
        Cell(str(found.over_trials.n), {"n": found.over_trials.n}),
    )
