"""The matrix of ROC-AUC, printed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from training.commands.console import results
from training.runs.publishing import RunState


def print_matrices(state: RunState, sequence: Sequence[str]) -> None:
    """Print test ROC-AUC per step and marketplace, beside the untrained encoder's cosine."""
    table = Table(title="Test ROC-AUC after every step (rows) on every marketplace (columns)")
    table.add_column("after")
    for name in sequence:
        table.add_column(name, justify="right")
    table.add_row("untrained cosine", *(_cell(state.zero_shot_test, name) for name in sequence))
    for learnt, row in zip(state.learnt, state.test_matrix, strict=True):
        table.add_row(learnt, *(_cell(row, name) for name in sequence))
    results.print(table)


def _cell(row: dict[str, float], name: str) -> str:
    return f"{row[name]:.4f}" if name in row else ""
