"""The demo's report: what a person wants to see after a run, printed and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from rich.console import Console
from rich.table import Table

Matrix = list[dict[str, float]]


class ScoredQuery(TypedDict):
    """One query-product pair as the service scored it."""

    marketplace: str
    query: str
    title: str
    label: int
    score: float
    highly_relevant: bool
    cached: bool


class CachedProduct(TypedDict):
    """A product that the cache answers with; the title is the candidate file's."""

    id: str
    score: float
    title: str


class CachedQuery(TypedDict):
    """What the cache answers for a query."""

    marketplace: str
    query: str
    status: str
    products: list[CachedProduct]


@dataclass(slots=True)
class DemoReport:
    """Everything the demo found out."""

    data: str
    sequence: list[str]
    continual: Matrix = field(default_factory=list)
    untrained_cosine: dict[str, float] = field(default_factory=dict)
    sequential_finetuning: Matrix = field(default_factory=list)
    trainable_parameters: list[dict[str, int]] = field(default_factory=list)
    sequential_parameters: int = 0
    marketplaces: list[dict[str, object]] = field(default_factory=list)
    publications: list[dict[str, object]] = field(default_factory=list)
    served_version: int = 0
    scored: list[ScoredQuery] = field(default_factory=list)
    fills: list[dict[str, object]] = field(default_factory=list)
    cached: list[CachedQuery] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def print_report(report: DemoReport, console: Console, next_commands: Sequence[str]) -> None:
    """Print all of the report as tables."""
    console.rule("What was learnt")
    console.print(_matrix(report))
    console.print(_forgetting(report))
    console.print(_parameters(report))
    for publication in report.publications:
        console.print(f"  version {publication['number']}: {publication['reason']}", soft_wrap=True)
    console.print(f"  the service runs version {report.served_version}")
    console.rule("Highly relevant: thresholds on validation data")
    console.print(_thresholds(report.marketplaces))
    console.rule("Some pairs, scored over HTTP")
    console.print(_scored(report.scored))
    console.rule("What the offline cache answers now")
    console.print(_cached(report.cached))
    console.rule("Where everything lies")
    for name, place in report.places.items():
        console.print(f"  {name:<14} {place}", soft_wrap=True)
    seconds = ", ".join(f"{name} {value:.0f} s" for name, value in report.seconds.items())
    console.print(f"\n  time: {seconds}")
    console.print("\n  next:")
    for command in next_commands:
        console.print(f"    {command}", soft_wrap=True, markup=False)


def backward_transfer(matrix: Matrix, sequence: Sequence[str]) -> dict[str, float]:
    """Change of every older marketplace's ROC-AUC from the step that learnt it to the last."""
    return {name: matrix[-1][name] - matrix[step][name] for step, name in enumerate(sequence[:-1])}


def _matrix(report: DemoReport) -> Table:
    table = Table(title="ROC-AUC on test queries: after each step (rows), on each marketplace (columns)")
    table.add_column("")
    for name in report.sequence:
        table.add_column(name, justify="right")
    table.add_row("untrained encoder's cosine", *_row(report.untrained_cosine, report.sequence))
    for method, matrix in (
        ("attention distillation", report.continual),
        ("sequential fine-tuning", report.sequential_finetuning),
    ):
        table.add_section()
        for step, row in enumerate(matrix):
            known = report.sequence[: step + 1]
            label = f"{method}, after {known[-1]}"
            table.add_row(label, *_row(row, report.sequence, faint_after=len(known)))
    return table


def _row(row: Mapping[str, float], names: Sequence[str], faint_after: int | None = None) -> list[str]:
    cells = [f"{row[name]:.4f}" for name in names]
    return [
        cell if faint_after is None or place < faint_after else f"[dim]({cell})[/dim]"
        for place, cell in enumerate(cells)
    ]


def _forgetting(report: DemoReport) -> Table:
    table = Table(title="Change of the older marketplaces since they were learnt (below 0 is forgetting)")
    table.add_column("")
    for name in report.sequence[:-1]:
        table.add_column(name, justify="right")
    for method, matrix in (
        ("attention distillation", report.continual),
        ("sequential fine-tuning", report.sequential_finetuning),
    ):
        if matrix:
            changes = backward_transfer(matrix, report.sequence)
            table.add_row(method, *(f"{changes[name]:+.4f}" for name in report.sequence[:-1]))
    return table


def _parameters(report: DemoReport) -> Table:
    table = Table(title="Trainable parameters per step")
    for column in ("step", "adapter", "fusion", "head", "sequential fine-tuning"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for name, counts in zip(report.sequence, report.trainable_parameters, strict=True):
        cells = [f"{counts.get(part, 0):,}" for part in ("adapter", "fusion", "head")]
        table.add_row(name, *cells, f"{report.sequential_parameters:,}")
    return table


def _thresholds(marketplaces: Sequence[Mapping[str, object]]) -> Table:
    table = Table()
    for column in ("marketplace", "threshold", "target precision", "precision", "recall", "kept"):
        table.add_column(column, justify="left" if column == "marketplace" else "right")
    for entry in marketplaces:
        cells = [
            _number(entry[key]) for key in ("threshold", "target_precision", "precision", "recall", "kept_share")
        ]
        table.add_row(str(entry["name"]), *cells)
    return table


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "none reaches it"


def _scored(rows: Sequence[ScoredQuery]) -> Table:
    table = Table(expand=True)
    table.add_column("", no_wrap=True)
    table.add_column("query", ratio=2, no_wrap=True)
    table.add_column("product", ratio=3, no_wrap=True)
    table.add_column("judged", no_wrap=True)
    table.add_column("score", justify="right")
    table.add_column("cached", no_wrap=True)
    for row in rows:
        judged = "relevant" if row["label"] else "not"
        cached = "yes" if row["cached"] else "highly relevant" if row["highly_relevant"] else "no"
        table.add_row(row["marketplace"], row["query"], row["title"], judged, f"{row['score']:.4f}", cached)
    return table


def _cached(rows: Sequence[CachedQuery]) -> Table:
    table = Table(expand=True)
    table.add_column("", no_wrap=True)
    table.add_column("query", ratio=2, no_wrap=True)
    table.add_column("answer, best first", ratio=3, no_wrap=True)
    for row in rows:
        products = "\n".join(f"{product['score']:.4f}  {product['title']}" for product in row["products"][:3])
        table.add_row(row["marketplace"], row["query"], products or row["status"].replace("_", " "))
    return table
