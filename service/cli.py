"""Command line of the serving side: `python -m service serve|settings|score|fill|lookup|rollback|cache`.

What scores is imported by the commands that score: torch takes seconds, a look-up milliseconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.cache import app as cache_app
from service.commands.cache import look_up_query, roll_back
from service.commands.interruptible import run_to_end
from service.fill.candidates.standard_input import StandardInputForm
from service.fill.distributed.options import FillEngineName, RayOptions
from service.fill.options import DEFAULT_COVERAGE, FillOptions
from service.settings import load_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.add_typer(cache_app, name="cache")

Marketplace = Annotated[str, typer.Option(help="marketplace, for example us, es or jp")]
Store = Annotated[
    Path | None, typer.Option(help="folder of the model store; by default MODEL_STORE or var/model-store")
]
Version = Annotated[str | None, typer.Option("--version", help="a version's number, or latest")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on; by default HOST or 127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="port to listen on; by default PORT or 8080; 0 takes a free one")
    ] = None,
    store: Store = None,
    version: Version = None,
) -> None:
    """Serve scores and the offline cache over HTTP."""
    from service.server.run import serve as run_server

    run_server(load_settings(host=host, port=port, model_store=store, model_version=version))


@app.command()
def settings(as_json: AsJson = False) -> None:
    """Print the settings in force and where each comes from. Secrets are masked."""
    from service.commands.settings import print_settings

    print_settings(load_settings(), as_json)


@app.command()
def score(
    query: Annotated[str, typer.Argument(help="query to look for")],
    titles: Annotated[list[str], typer.Argument(help="titles of products")],
    marketplace: Marketplace,
    store: Store = None,
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Print the scores of products for a query. The cache is neither read nor written."""
    from service.commands.score_and_fill import score_titles

    score_titles(load_settings(model_store=store, model_version=version), marketplace, query, titles, as_json)


@app.command()
def fill(
    candidates: Annotated[
        list[str],
        typer.Argument(
            help="TSV, CSV, JSON lines (also .gz) or Parquet files, folders of them, or - for standard input"
        ),
    ],
    marketplace: Annotated[
        list[str], typer.Option(help="marketplace, for example us; may be repeated to fill several in turn")
    ],
    store: Store = None,
    version: Version = None,
    report: Annotated[Path | None, typer.Option(help="file to write the JSON report to as well")] = None,
    stdin_form: Annotated[
        StandardInputForm, typer.Option(help="form of standard input; gzip is recognised")
    ] = "tsv",
    traffic: Annotated[
        Path | None,
        typer.Option(help="table with the columns query and count; only the most frequent queries are filled"),
    ] = None,
    coverage: Annotated[
        float, typer.Option(help="share of the traffic that the filled queries make up")
    ] = DEFAULT_COVERAGE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would change, and let readers keep the old generation")
    ] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="flip even if shares moved by more than the settings allow")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="begin anew instead of resuming an interrupted fill")
    ] = False,
    engine: Annotated[
        FillEngineName, typer.Option(help="local scores in this process, ray on a Ray cluster")
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            help="address of the Ray cluster, HOST:PORT or auto; by default one is started on this machine"
        ),
    ] = None,
    ray_actors: Annotated[
        int | None, typer.Option(help="number of actors that score; by default as many as there is room for")
    ] = None,
    ray_actor_cpus: Annotated[int, typer.Option(help="cores of each actor")] = 1,
    ray_actor_gpus: Annotated[int, typer.Option(help="GPUs of each actor")] = 0,
) -> None:
    """Score candidates into a new generation of the cache and let readers see it; print a JSON report.

    With several marketplaces, each gets a generation of its own, and the report is a list.
    The same command resumes an interrupted fill.
    """
    from service.commands.score_and_fill import fill_files
    from service.fill.candidates.files import candidate_paths

    settings = load_settings(model_store=store, model_version=version)
    paths = candidate_paths(candidates, settings.fill_folder, stdin_form)
    options = FillOptions(traffic, coverage, dry_run, accept_changes, restart)
    ray = RayOptions(ray_address, ray_actors, ray_actor_cpus, ray_actor_gpus) if engine == "ray" else None
    run_to_end(fill_files(settings, marketplace, paths, report, options, ray))


@app.command()
def lookup(
    query: Annotated[str, typer.Argument(help="query to look for")],
    marketplace: Marketplace,
    min_score: Annotated[float, typer.Option(help="lowest score of a product to print")] = 0.0,
    limit: Annotated[int | None, typer.Option(help="largest number of products to print")] = None,
    as_json: AsJson = False,
) -> None:
    """Print what the cache has for a query."""
    run_to_end(look_up_query(load_settings(), marketplace, query, min_score, limit, as_json))


@app.command()
def rollback(marketplace: Marketplace) -> None:
    """Let readers see the previous generation again."""
    run_to_end(roll_back(load_settings(), marketplace))
