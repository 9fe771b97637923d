"""The report on a plan's finished runs: Markdown with tables and figures, CSV, and JSON for programs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model_store.errors import ConfigurationError
from model_store.files import write_json, write_text_atomically
from training.experiments.report.comparisons import (
    comparison_table,
    reference_rows_table,
    reference_table,
    table_2,
)
from training.experiments.report.details import attention_table, cost_table, matrix_table, runs_table
from training.experiments.report.facts import facts, warnings
from training.experiments.report.figures import ReportFigure, draw_figures
from training.experiments.report.reading import read_runs
from training.experiments.report.table import ReportTable
from training.experiments.report.table1 import table_1
from training.experiments.report.translation import share_curves, share_table
from training.experiments.statistics.bootstrap import REPLICATES, bootstrap
from training.experiments.statistics.runs import MarketplaceGroup, MethodRuns, ReportRuns
from training.experiments.statistics.significance import (
    Comparison,
    against_best_rival,
    against_references,
    all_pairs,
)
from training.experiments.statistics.summary import METRICS, average

REPORT = "report.md"
SUMMARY = "summary.json"
TABLES, FIGURES = "tables", "figures"

OnBlock = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class GroupTables:
    """What a report says of one set of marketplaces.

    Args:
        shown: tables that are printed; `kept` are only written as CSV.
    """

    group: MarketplaceGroup
    comparisons: Sequence[Comparison]
    shown: Sequence[ReportTable]
    kept: Sequence[ReportTable]

    @property
    def all(self) -> list[ReportTable]:
        """Shown and kept."""
        return [*self.shown, *self.kept]


def write_report(
    folder: Path,
    output: Path,
    command: str,
    replicates: int = REPLICATES,
    on_block: OnBlock | None = None,
) -> ReportRuns:
    """Write a report on every finished run below a folder, and return the runs.

    Args:
        output: its older report is replaced.
        command: that makes this report, to be named in it.
        replicates: of the paired bootstrap.
        on_block: called with done and total of the bootstrap of each set of marketplaces.

    Raises:
        InputError: a result is broken or missing, or two contradict each other; names the files.
        ConfigurationError: `output` holds something else than a report.
    """
    runs = read_runs(folder)
    _clear(output)
    groups = [group_tables(group, replicates, on_block) for group in runs.groups]
    figures = [list(draw_figures(group, output / FIGURES)) for group in runs.groups]
    for table in [*(table for tables in groups for table in tables.all), runs_table(runs)]:
        write_text_atomically(output / TABLES / f"{table.name}.csv", table.csv())
    write_json(output / SUMMARY, _summary(runs, groups, figures, command))
    write_text_atomically(output / REPORT, _markdown(runs, groups, figures, command))
    return runs


def group_tables(
    group: MarketplaceGroup, replicates: int = REPLICATES, on_block: OnBlock | None = None
) -> GroupTables:
    """All tables of one set of marketplaces.

    Raises:
        InputError: the scores of a run are missing, or are not those of its result.
    """
    drawn = bootstrap(group, replicates, on_block)
    averages = {method.label: _final_average(method) for method in group.methods}
    against_rival = against_best_rival(group.continual, averages, drawn)
    references = against_references(group, drawn)
    comparisons = all_pairs(group, drawn)
    curves = share_curves(group)
    return GroupTables(
        group=group,
        comparisons=[*references.values(), *comparisons],
        shown=[
            *(table_1(group, sequence) for sequence in group.sequences),
            *([table_2(group, against_rival, drawn.unit)] if group.continual else []),
            reference_table(group),
            *([reference_rows_table(group, references, drawn.unit)] if references else []),
            *([share_table(group, curves)] if curves else []),
            cost_table(group),
        ],
        kept=[comparison_table(group, comparisons, drawn.unit), matrix_table(group), attention_table(group)],
    )


def _clear(output: Path) -> None:
    """Remove an older report's tables and figures, which may be of methods that are no longer there."""
    if not output.exists() or not any(output.iterdir()):
        return
    if not (output / SUMMARY).is_file():
        raise ConfigurationError(f"{output} holds something else than a report: name another --output")
    for name in (TABLES, FIGURES):
        shutil.rmtree(output / name)


def _final_average(method: MethodRuns) -> float:
    found = method.estimate(average)
    assert found is not None  # every result that was read has its final ROC-AUC
    return found.mean


def _markdown(
    runs: ReportRuns, groups: Sequence[GroupTables], figures: Sequence[Sequence[ReportFigure]], command: str
) -> str:
    known = warnings(runs)
    parts = [
        f"# {runs.name}\n",
        "\n".join(f"- {title}: {text}" for title, text in facts(runs).items()) + "\n",
        f"Made by `{command}`. `docs/reference/report.md` explains how each number is computed.\n",
        *(["## What to know first\n", "\n".join(f"- {line}" for line in known) + "\n"] if known else []),
        *(part for one, drawn in zip(groups, figures, strict=True) for part in _group_markdown(one, drawn)),
        "## Files\n",
        f"Every table is in `{TABLES}/` as CSV with full precision, also the comparisons of every two methods, "
        f"R, the attention maps and one line a run; every figure is in `{FIGURES}/` as PNG and SVG; `{SUMMARY}` "
        "holds all numbers for programs.\n",
    ]
    return "\n".join(parts)


def _group_markdown(tables: GroupTables, figures: Sequence[ReportFigure]) -> list[str]:
    return [
        f"## {', '.join(tables.group.marketplaces)}\n",
        *(table.markdown() for table in tables.shown),
        *(
            f"### {figure.title}\n\n![{figure.title}]({FIGURES}/{figure.name}.svg)\n\n{figure.caption}\n"
            for figure in figures
        ),
    ]


def _summary(
    runs: ReportRuns, groups: Sequence[GroupTables], figures: Sequence[Sequence[ReportFigure]], command: str
) -> dict[str, object]:
    return {
        "plan": runs.name,
        "command": command,
        "facts": facts(runs),
        "warnings": warnings(runs),
        "missing": list(runs.missing),
        "unplanned": list(runs.unplanned),
        "groups": [_group_summary(one, drawn) for one, drawn in zip(groups, figures, strict=True)],
    }


def _group_summary(tables: GroupTables, figures: Sequence[ReportFigure]) -> dict[str, object]:
    group = tables.group
    return {
        "marketplaces": list(group.marketplaces),
        "sequences": [list(sequence) for sequence in group.sequences],
        "methods": {method.label: _method_summary(method) for method in group.methods},
        "comparisons": [asdict(comparison) for comparison in tables.comparisons],
        "tables": {table.name: table.records() for table in tables.all},
        "figures": [figure.name for figure in figures],
    }


def _method_summary(method: MethodRuns) -> Mapping[str, object]:
    found = {name: method.estimate(metric) for name, metric in METRICS.items()}
    return {
        "method": method.method,
        "title": method.title,
        "is_continual": method.is_continual,
        "is_complete": method.is_complete,
        "runs": len(method.runs),
        **{name: None if one is None else one.as_dict() for name, one in found.items()},
    }
