"""`python -m benchmarks engine|end-to-end|interactions|training|http|cache|fill|fill-growth`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.cache import cache_benchmark
from benchmarks.encoders import Size
from benchmarks.end_to_end import end_to_end_benchmark
from benchmarks.engine import engine_benchmark
from benchmarks.fill import fill_benchmark
from benchmarks.fill_growth import growth_benchmark
from benchmarks.http_load import http_benchmark
from benchmarks.interactions import interactions_benchmark, quality_rows
from benchmarks.training_step import training_benchmark
from model_store.errors import RelevanceError
from training.data.sources import DataSource, parse_source

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Measure speed, side by side with peers.")
console = Console()

SizeOption = Annotated[str, typer.Option(help="mbert (its shape, random weights) or packaged (e5-small)")]
DataOption = Annotated[str, typer.Option(help="data source of the texts, as for training")]
OutputOption = Annotated[Path | None, typer.Option(help="file to write the result to as JSON")]
CountsOption = Annotated[str, typer.Option(help="numbers of adapters, for example 1,4,16")]


@app.command()
def engine(
    data: DataOption = "catalogue",
    size: SizeOption = "mbert",
    adapters: CountsOption = "1,2,4,8,16,32",
    pairs: Annotated[int, typer.Option(help="pairs in a call")] = 256,
    token_budget: Annotated[int, typer.Option(help="tokens in a batch")] = 512,
    rounds: Annotated[int, typer.Option(help="measurements of each candidate, in turn")] = 3,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    only: Annotated[str, typer.Option(help="regular expression for the candidates to measure")] = "",
    output: OutputOption = None,
) -> None:
    """Forward passes: folded in every form, unfolded, the adapters library, the plain encoder."""
    result = engine_benchmark(
        cast("Size", size),
        _counts(adapters),
        pairs,
        token_budget,
        rounds,
        _source(data),
        torch.device(device),
        only,
    )
    _show(f"pairs a second ({size}, {result['tokens']} tokens in {pairs} pairs)", result["pairs_per_second"])
    _show("billion operations a second", [{name: rate / 1e9 for name, rate in result["matrix_rates"].items()}])
    for name, share in result["shares_of_matrix_rate"].items():
        console.print(f"{name}: {share:.0%}")
    _write(result, output)


@app.command("end-to-end")
def end_to_end(
    data: DataOption = "catalogue",
    size: SizeOption = "mbert",
    adapters: Annotated[int, typer.Option(help="number of our adapters; peers have none")] = 4,
    rounds: Annotated[int, typer.Option(help="measurements of each candidate, in turn")] = 5,
    output: OutputOption = None,
) -> None:
    """Strings in, scores out: against sentence-transformers' CrossEncoder."""
    result = end_to_end_benchmark(cast("Size", size), adapters, rounds, _source(data))
    console.print(f"`auto` takes {result['auto']}")
    for calls, rows in result["rows"].items():
        _show(f"calls of {calls} ({size})", rows)
    _write(result, output)


@app.command()
def interactions(
    data: DataOption = "catalogue",
    size: SizeOption = "mbert",
    adapters: Annotated[int, typer.Option(help="number of adapters")] = 4,
    queries: Annotated[int, typer.Option()] = 200,
    products: Annotated[int, typer.Option()] = 500,
    store: Annotated[
        list[str] | None, typer.Option(help="INTERACTION=FOLDER of a trained store; may be repeated")
    ] = None,
    output: OutputOption = None,
) -> None:
    """Pairs over shared texts, with cross, late(3) and two_tower."""
    result = interactions_benchmark(cast("Size", size), adapters, queries, products, _source(data))
    _show(f"{queries} queries x {products} products ({size})", result["rows"])
    stores = dict(item.split("=", 1) for item in store or [])
    if stores:
        result["auc"] = quality_rows({name: Path(folder) for name, folder in stores.items()})
        _show("ROC-AUC on kept test rows", result["auc"])
    _write(result, output)


@app.command()
def training(
    data: DataOption = "catalogue",
    size: SizeOption = "mbert",
    adapters: CountsOption = "2,4,8",
    pairs: Annotated[int, typer.Option(help="pairs in a step")] = 32,
    rounds: Annotated[int, typer.Option(help="measurements of each candidate, in turn")] = 5,
    output: OutputOption = None,
) -> None:
    """One fusion step, forward and backward, against the library's fusion."""
    result = training_benchmark(cast("Size", size), _counts(adapters), pairs, rounds, _source(data))
    _show(f"a step of {pairs} pairs ({size})", result["rows"])
    _write(result, output)


@app.command()
def http(
    store: Annotated[Path, typer.Option(help="model store whose newest version is served", exists=True)],
    data: DataOption = "catalogue",
    marketplace: Annotated[str, typer.Option(help="marketplace of the pairs")] = "us",
    seconds: Annotated[float, typer.Option(help="seconds of each load")] = 15.0,
    output: OutputOption = None,
) -> None:
    """The running server: saturation against the engine, and open loop from 10 % to 300 % of capacity."""
    result = http_benchmark(store, _source(data), marketplace, seconds)
    console.print(
        f"engine {result['engine']['pairs_per_second']:.1f} pairs/s, server "
        f"{result['server']['pairs_per_second']:.1f} ({result['share_of_engine']:.2f}); a single pair takes "
        f"{result['added_milliseconds']:.2f} ms more over HTTP; the generator took "
        f"{result['cores_of_the_generator']:.2f} cores"
    )
    _show("offered load, as a share of the server's capacity", result["loads"])
    _write(result, output)


@app.command()
def cache(
    queries: Annotated[int, typer.Option(help="queries of 20 products in the cache")] = 50_000,
    rounds: Annotated[int, typer.Option(help="measurements of each candidate, in turn")] = 11,
    load_rounds: Annotated[int, typer.Option(help="rounds of load over HTTP on each server, in turn")] = 3,
    rate: Annotated[float, typer.Option(help="look-ups a second over HTTP")] = 500.0,
    seconds: Annotated[float, typer.Option(help="seconds of load over HTTP")] = 15.0,
    output: OutputOption = None,
) -> None:
    """The offline cache: the client against a bare ZREVRANGE, HTTP in open loop, bytes a pair."""
    result = cache_benchmark(queries, rounds, load_rounds, rate, seconds)
    _show("a look-up through the client", [result["client"]])
    _show("look-ups over HTTP, open loop", result["http"])
    _show(f"memory of {queries} queries with {result['products_per_query']} products", [result["memory"]])
    _write(result, output)


@app.command()
def fill(
    store: Annotated[
        list[Path], typer.Option(help="model store whose newest version scores; may be repeated", exists=True)
    ],
    data: DataOption = "catalogue",
    marketplace: Annotated[str, typer.Option(help="marketplace to fill")] = "us",
    pairs: Annotated[
        int, typer.Option(help="pairs in a job; with cross at most as many as the data have")
    ] = 4096,
    rounds: Annotated[int, typer.Option(help="measurements of each candidate, in turn")] = 5,
    written_pairs: Annotated[int, typer.Option(help="pairs that the writers write")] = 200_000,
    output: OutputOption = None,
) -> None:
    """The batch fill: the job against the engine on the same pairs, the writer against a bare pipeline."""
    result = fill_benchmark(store, _source(data), marketplace, pairs, rounds, written_pairs)
    for job in result["jobs"]:
        seconds = job["median_seconds"]
        _show(f"{job['pairs']} pairs with {job['pair_encoding']} ({job['engine']}), seconds", [seconds])
        console.print(
            f"shares of the engine's rate: the job {job['share_of_engine']:.3f}, its pass through the candidates "
            f"{job['share_of_engine_of_the_pass']:.3f}, the job in processor time "
            f"{job['share_of_engine_in_cpu']:.3f}; of computing alone: the job {job['share_of_computing']:.3f}"
        )
    _show("the writer", [result["writer"]])
    _write(result, output)


@app.command("fill-growth")
def fill_growth(
    store: Annotated[Path, typer.Option(help="model store whose newest version scores", exists=True)],
    marketplace: Annotated[str, typer.Option(help="marketplace to fill")] = "us",
    pairs: Annotated[int, typer.Option(help="synthetic candidates")] = 1_000_000,
    output: OutputOption = None,
) -> None:
    """A long fill of synthetic candidates: memory and rate over the run."""
    result = growth_benchmark(store, marketplace, pairs)
    _show(f"{result['pairs']} pairs, by tenths", result["parts"])
    console.print(f"memory grew by {result['growth_mb_of_the_last_nine_tenths']:.1f} MB after the first tenth")
    _write(result, output)


def _source(text: str) -> DataSource:
    try:
        return parse_source(text)
    except RelevanceError as error:
        raise typer.BadParameter(str(error), param_hint="--data") from error


def _counts(text: str) -> list[int]:
    return [int(count) for count in text.split(",")]


def _show(title: str, rows: list[dict[str, Any]]) -> None:
    """Rows as a table, the wide ones turned."""
    table = Table(title=title)
    names = list(rows[0])
    if len(names) <= len(rows) + 4:
        for name in names:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*(_text(row[name]) for name in names))
    else:
        table.add_column(names[0])
        for row in rows:
            table.add_column(_text(row[names[0]]), justify="right")
        for name in names[1:]:
            table.add_row(name, *(_text(row[name]) for row in rows))
    console.print(table)


def _text(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _write(result: dict[str, Any], output: Path | None) -> None:
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    app()
