"""The tables of docs/results.md: what is kept of a report, and how a page shows it.

Keep a report's figures, once its experiment has ended:

    python -m training report var/experiments/capacity
    python -m scripts.docs.results keep var/experiments/capacity --against unclipped_all_layers

Write the tables of the pages anew from what is kept:

    python -m scripts.docs.results write
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import typer

from model_store.files import write_text_atomically
from training.experiments.report.table import NONE, count_cell, signed

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "docs" / "results"
PAGES = (REPOSITORY / "docs" / "results.md", REPOSITORY / "docs" / "log.md")
MARKER = re.compile(r"<!-- table: (?P<file>\S+) columns: (?P<columns>[\w ]+?) -->")
MOST_FIGURES = 3

Row = Mapping[str, str]

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__.splitlines()[0])


@app.command()
def keep(
    experiment: Annotated[Path, typer.Argument(help="An experiment's folder that holds a report.")],
    against: Annotated[str, typer.Option(help="Label of the row that every other row is compared with.")],
    figure: Annotated[list[str] | None, typer.Option(help="Name of a figure to keep, without .svg.")] = None,
    into: Annotated[Path, typer.Option(help="Where results are kept.")] = RESULTS,
) -> None:
    """Copy plan, figures and one CSV for each set of marketplaces from an experiment's report."""
    figures = figure or []
    if len(figures) > MOST_FIGURES:
        raise typer.BadParameter(f"{len(figures)} figures are given; at most {MOST_FIGURES} are kept of a plan")
    kept = into / experiment.name
    kept.mkdir(parents=True, exist_ok=True)
    report = experiment / "report"
    if (experiment / "plan.yaml").exists():
        shutil.copy(experiment / "plan.yaml", kept / "plan.yaml")
    for name in figures:
        shutil.copy(report / "figures" / f"{name}.svg", kept / f"{name}.svg")
    for group in _groups(report / "tables"):
        rows = merged_rows(report / "tables", group, against)
        header = list(dict.fromkeys(key for row in rows for key in row))
        with (kept / f"{group}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


@app.command()
def write() -> None:
    """Write every table of the pages anew from the kept CSV files."""
    for page in PAGES:
        if page.exists():
            write_text_atomically(page, with_tables(page.read_text(encoding="utf-8"), page.parent))


def merged_rows(tables: Path, group: str, against: str) -> list[dict[str, str]]:
    """The report's numbers of every method at the end of its sequences, a row a method.

    Args:
        tables: the folder of a report's CSV files.
        group: a set of marketplaces as the report names it, `us+es+jp`.
        against: label of the row that the `against_` columns compare with, over test queries.
    """
    merged: dict[str, dict[str, str]] = {}
    for row in _read(tables / f"table1.{group}.csv"):
        key = row["label"]
        if key == "untrained":
            key = row["title"]
            row["title"] = row["title"].split(" (")[0] if "," in row["title"] else row["title"]
        merged[key] = row  # of the rows after every step the last one stays
    for name in ("table2", "references_rows", "figure4"):
        for row in _read(tables / f"{name}.{group}.csv"):
            merged.setdefault(row["label"], {}).update({key: value for key, value in row.items() if value})
    for row in _read(tables / f"comparisons.{group}.csv"):
        if row["of"] != "average" or against not in (row["label"], row["rival"]):
            continue
        turned = row["label"] == against
        low, high = float(row["difference_low"]), float(row["difference_high"])
        merged[row["rival"] if turned else row["label"]].update(
            against=against,
            against_difference=str(-float(row["difference"]) if turned else float(row["difference"])),
            against_difference_low=str(-high if turned else low),
            against_difference_high=str(-low if turned else high),
            against_adjusted_p_value=row["adjusted_p_value"],
        )
    return list(merged.values())


def with_tables(page: str, folder: Path) -> str:
    """The page with the table below each marker written from the CSV that the marker names."""
    written: list[str] = []
    lines = iter(page.splitlines())
    for line in lines:
        written.append(line)
        if found := MARKER.fullmatch(line):
            for _ in takewhile(lambda old: old.startswith("|"), lines):
                pass
            written += [*table(_read(folder / found["file"]), found["columns"].split()), ""]
    return "\n".join(written) + "\n"


def table(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Lines of a Markdown table, the method first; rows without the first of the columns are left out."""
    compared_with = next(
        (row["title"] for row in rows if row["label"] in {row.get("against") for row in rows}), ""
    )
    special = _TITLES | {"against": f"difference to {compared_with}"}
    titles = [special.get(column, column.replace("_", " ")) for column in columns]
    lines = [_line(["method", *titles]), _line(["---", *("---:" for _ in columns)])]
    for row in rows:
        cells = [_FORMS.get(column, _mean)(row, column) for column in columns]
        if cells[0] != NONE:
            lines.append(_line([row["title"], *cells]))
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _mean(row: Row, column: str) -> str:
    mean, deviation = row.get(f"{column}_mean"), row.get(f"{column}_std")
    if not mean:
        return NONE
    return f"{float(mean):.4f}" + (f" ± {float(deviation):.4f}" if deviation else "")


def _interval(row: Row, column: str) -> str:
    if not row.get(f"{column}_mean"):
        return NONE
    return signed(float(row[f"{column}_mean"])) + _bounds(row.get(f"{column}_low"), row.get(f"{column}_high"))


def _difference(row: Row, column: str) -> str:
    if not row.get(f"{column}_difference"):
        return NONE
    star = " *" if float(row.get(f"{column}_adjusted_p_value") or 1) < 0.05 else ""
    bounds = _bounds(row[f"{column}_difference_low"], row[f"{column}_difference_high"])
    return signed(float(row[f"{column}_difference"])) + bounds + star


def _bounds(low: str | None, high: str | None) -> str:
    return f" [{signed(float(low))}, {signed(float(high))}]" if low and high else ""


def _count(row: Row, column: str) -> str:
    return count_cell(column, float(row[column])).text if row.get(column) else NONE


def _share(row: Row, column: str) -> str:
    return f"{float(row[column]):.0%}" if row.get(column) else NONE


def _plain(row: Row, column: str) -> str:
    return row.get(column) or NONE


_TITLES = {
    "average_over_untrained": "average over the untrained cosine",
    "average_over_single_marketplace": "average over Single Marketplace",
    "trained": "weights trained",
    "translated_share": "share translated",
    "gain": "gain of the older marketplaces",
    "n": "trials",
}
_FORMS: dict[str, Callable[[Row, str], str]] = {
    "backward_transfer": _interval,
    "gain": _interval,
    "against": _difference,
    "average_over_untrained": _difference,
    "average_over_single_marketplace": _difference,
    "trained": _count,
    "total": _count,
    "translated_share": _share,
    "n": _plain,
}


def _groups(tables: Path) -> list[str]:
    return sorted(
        path.name.removeprefix("comparisons.").removesuffix(".csv") for path in tables.glob("comparisons.*")
    )


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    app()
