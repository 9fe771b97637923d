"""`python -m benchmarks engine`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.engine import engine_benchmark

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Measurements side by side with peers.")
console = Console()


@app.callback()
def main() -> None:
    """Measurements side by side with peers."""


@app.command()
def engine(
    size: Annotated[str, typer.Option(help="mbert or e5-small")] = "mbert",
    adapters: Annotated[str, typer.Option(help="numbers of adapters")] = "1,2,4,8,16,32",
    pairs: Annotated[int, typer.Option(help="pairs of a call")] = 256,
    token_budget: Annotated[int, typer.Option(help="tokens of a batch")] = 1024,
    rounds: Annotated[int, typer.Option(help="measurements of each, in turn")] = 5,
    output: Annotated[Path | None, typer.Option(help="also write JSON here")] = None,
) -> None:
    """Forward passes: folded, unfolded, the adapters library and the plain encoder."""
    result = engine_benchmark(size, [int(count) for count in adapters.split(",")], pairs, token_budget, rounds)
    rows = result["pairs_per_second"]
    assert isinstance(rows, list)
    table = Table(title=f"pairs a second ({size}, {result['tokens']} tokens in {pairs} pairs)")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(f"{value:,.1f}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)
    console.print(
        f"plain encoder: {result['plain_share_of_matrix_rate']:.0%} of the measured float32 matrix rate"
    )
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    app()
