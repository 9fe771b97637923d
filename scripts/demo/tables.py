"""The tables of the demo's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from scripts.demo.findings import CachedQuery, Findings, Matrix, PlainProbeRow, ScoredQuery

PRODUCTS_SHOWN = 3


def backward_transfer(matrix: Matrix, sequence: Sequence[str]) -> dict[str, float]:
    """Change of every older marketplace's ROC-AUC from the step that learnt it to the last."""
    return {name: matrix[-1][name] - matrix[step][name] for step, name in enumerate(sequence[:-1])}


def matrix_table(findings: Findings) -> Table:
    """Test ROC-AUC after each step."""
    table = Table(title="ROC-AUC on test queries: after each step (rows), on each marketplace (columns)")
    table.add_column("")
    for name in findings.sequence:
        table.add_column(name, justify="right")
    table.add_row("untrained encoder's cosine", *_row(findings.untrained_cosine, findings.sequence))
    for method, matrix in _methods(findings):
        table.add_section()
        for step, row in enumerate(matrix):
            known = findings.sequence[: step + 1]
            label = f"{method}, after {known[-1]}"
            table.add_row(label, *_row(row, findings.sequence, faint_after=len(known)))
    return table


def forgetting_table(findings: Findings) -> Table:
    """Backward transfer."""
    table = Table(title="Change of the older marketplaces since they were learnt (below 0 is forgetting)")
    table.add_column("")
    for name in findings.sequence[:-1]:
        table.add_column(name, justify="right")
    for method, matrix in _methods(findings):
        changes = backward_transfer(matrix, findings.sequence)
        table.add_row(method, *(f"{changes[name]:+.4f}" for name in findings.sequence[:-1]))
    return table


def plain_probe_table(rows: Mapping[str, PlainProbeRow]) -> Table:
    """Shares of everyday queries ranked right."""
    table = Table(title="Everyday queries whose one right product is ranked above three others")
    for column in ("marketplace", "language", "queries", "untrained encoder", "when learnt", "now"):
        table.add_column(column, justify="left" if column in ("marketplace", "language") else "right")
    for name, row in rows.items():
        shares = (row["untrained"], row["when_learnt"], row["now"])
        cells = ("" if share is None else f"{share:.1%}" for share in shares)
        table.add_row(name, row["language"], str(row["probes"]), *cells)
    return table


def parameter_table(findings: Findings) -> Table:
    """How many parameters each step trains."""
    table = Table(title="Trainable parameters per step")
    columns = ["step", "adapter", "fusion", "head", *(["sequential fine-tuning"] if findings.baseline else [])]
    for column in columns:
        table.add_column(column, justify="left" if column == "step" else "right")
    for name, counts in zip(findings.sequence, findings.trainable_parameters, strict=True):
        cells = [f"{counts.get(part, 0):,}" for part in ("adapter", "fusion", "head")]
        if findings.baseline:
            cells.append(f"{findings.baseline.trainable_parameters:,}")
        table.add_row(name, *cells)
    return table


def threshold_table(marketplaces: Sequence[Mapping[str, object]]) -> Table:
    """Where "highly relevant" begins in each marketplace."""
    table = Table()
    for column in ("marketplace", "threshold", "target precision", "precision", "recall", "kept"):
        table.add_column(column, justify="left" if column == "marketplace" else "right")
    for entry in marketplaces:
        cells = [
            _number(entry.get(key))
            for key in ("threshold", "target_precision", "precision", "recall", "kept_share")
        ]
        table.add_row(str(entry["name"]), *cells)
    return table


def scored_table(rows: Sequence[ScoredQuery]) -> Table:
    """Pairs with what people say and what the service says."""
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


def cached_table(rows: Sequence[CachedQuery]) -> Table:
    """What the cache answers."""
    table = Table(expand=True)
    table.add_column("", no_wrap=True)
    table.add_column("query", ratio=2, no_wrap=True)
    table.add_column("answer, best first", ratio=3, no_wrap=True)
    for row in rows:
        shown = row["products"][:PRODUCTS_SHOWN]
        products = "\n".join(f"{product['score']:.4f}  {product['title']}" for product in shown)
        table.add_row(row["marketplace"], row["query"], products or row["status"].replace("_", " "))
    return table


def _methods(findings: Findings) -> list[tuple[str, Matrix]]:
    methods = [("attention distillation", findings.continual)]
    if findings.baseline:
        kept = " (kept figures)" if findings.baseline_is_kept else ""
        methods.append((f"sequential fine-tuning{kept}", findings.baseline.test_matrix))
    return methods


def _row(row: Mapping[str, float], names: Sequence[str], faint_after: int | None = None) -> list[str]:
    cells = [f"{row[name]:.4f}" for name in names]
    return [
        cell if faint_after is None or place < faint_after else f"[dim]({cell})[/dim]"
        for place, cell in enumerate(cells)
    ]


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "none reaches it"
