"""What runs cost, and the numbers behind the figures, run by run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from training.experiments.report.table import (
    NONE,
    Cell,
    ReportTable,
    Value,
    auc_after,
    count_cell,
    n_cell,
    text_cell,
    title_cell,
    training_seconds,
    translation_seconds,
)
from training.experiments.running.run_result import RunResult
from training.experiments.statistics.runs import MarketplaceGroup, MethodRuns, ReportRuns, Sequence_
from training.experiments.statistics.summary import METRICS, mean_of_all


def cost_table(group: MarketplaceGroup) -> ReportTable:
    """Parameters, time and memory of every method."""
    return ReportTable(
        name=f"costs.{group.name}",
        title=f"Cost: {', '.join(group.marketplaces)}",
        columns=("method", "trained", "total", "training, s", "translation, s", "peak memory, MB", "n"),
        rows=tuple(_cost_row(method) for method in group.methods),
        notes=(
            "Parameters: `trained` in the last step. Seconds: all steps of a run, evaluation left out; "
            "translations that were kept from an earlier run take none. Memory: main memory of the run's "
            "process at its peak. Means over trials.",
        ),
    )


def runs_table(runs: ReportRuns) -> ReportTable:
    """One row a run: the metrics of its R."""
    rows = []
    for run in runs.runs:
        result = run.result
        values = {name: metric(result) for name, metric in METRICS.items()}
        facts: dict[str, Value] = {
            "label": result.label,
            "method": result.method,
            "sequence": "+".join(result.sequence),
            "seed": result.seed,
            "fold": result.fold,
            "seconds": result.seconds,
            "commit": result.commit,
            "hardware": result.hardware,
        }
        rows.append((Cell(run.name, {"run": run.name, **facts, **values}),))
    return ReportTable("runs", "Runs", ("run",), tuple(rows))


def matrix_table(group: MarketplaceGroup) -> ReportTable:
    """R: mean over trials after every step of every sequence, one number a row."""
    rows = [
        row
        for method in group.methods
        for sequence in sorted({key.sequence for key in method.runs})
        for row in _matrix_rows(method, sequence)
    ]
    columns = ("method", "sequence", "step", "after", "marketplace", "auc")
    return ReportTable(f"matrix.{group.name}", f"R: {', '.join(group.marketplaces)}", columns, tuple(rows))


def attention_table(group: MarketplaceGroup) -> ReportTable:
    """Mean attention by marketplace, layer and adapter, over trials and sequences."""
    rows = []
    for method in group.methods:
        for marketplace, layers in attention_maps(group, method).items():
            for layer, shares in enumerate(layers):
                for adapter, share in zip(group.marketplaces, shares, strict=True):
                    values: dict[str, Value] = {"label": method.label, "marketplace": marketplace}
                    values |= {"layer": layer + 1, "adapter": adapter, "attention": share}
                    rows.append((Cell(method.title, values),))
    title = f"Attention: {', '.join(group.marketplaces)}"
    return ReportTable(f"attention.{group.name}", title, ("method",), tuple(rows))


def attention_maps(group: MarketplaceGroup, method: MethodRuns) -> dict[str, list[list[float]]]:
    """(layers, adapters) by marketplace, adapters in the group's order; empty for a method without fusion.

    Runs of another number of layers than the first are left out: a mean over them has no meaning.
    """
    with_map = [result for result in method.results if set(result.adapters) == set(group.marketplaces)]
    with_map = [result for result in with_map if set(result.attention) >= set(group.marketplaces)]
    if not with_map:
        return {}
    maps = {}
    for marketplace in group.marketplaces:
        depth = len(with_map[0].attention[marketplace])
        alike = [result for result in with_map if len(result.attention[marketplace]) == depth]
        maps[marketplace] = [
            [_attention(alike, marketplace, layer, adapter) for adapter in group.marketplaces]
            for layer in range(depth)
        ]
    return maps


def _attention(results: list[RunResult], marketplace: str, layer: int, adapter: str) -> float:
    shares = [result.attention[marketplace][layer][result.adapters.index(adapter)] for result in results]
    return sum(shares) / len(shares)


def _cost_row(method: MethodRuns) -> tuple[Cell, ...]:
    results = method.results
    trained = mean_of_all(float(result.steps[-1].trainable_parameters) for result in results)
    total = mean_of_all(float(result.total_parameters) for result in results)
    memory = mean_of_all(result.peak_memory_bytes / 1e6 for result in results)
    return (
        title_cell(method),
        count_cell("trained", trained or 0),
        count_cell("total", total or 0),
        _number("training_seconds", mean_of_all(map(training_seconds, results)), 1),
        _number("translation_seconds", mean_of_all(map(translation_seconds, results)), 1),
        _number("peak_memory_mb", memory, 0),
        n_cell(method),
    )


def _number(column: str, value: float | None, decimals: int) -> Cell:
    return Cell(NONE if value is None else f"{value:.{decimals}f}", {column: value})


def _matrix_rows(method: MethodRuns, sequence: Sequence_) -> Iterator[tuple[Cell, ...]]:
    steps = next(result.steps for result in method.results if result.sequence == sequence)
    for step, facts in enumerate(steps):
        for name in sequence:
            found = method.estimate(partial(auc_after, step=step, names=(name,)), sequence)
            if found is None:
                continue
            yield (
                Cell(method.title, {"label": method.label, "sequence": "+".join(sequence), "step": step + 1}),
                text_cell("after", facts.marketplace),
                text_cell("marketplace", name),
                Cell(f"{found.mean:.4f}", found.as_dict()),
            )
