"""Command line of the serving side: `python -m service serve|settings|score|fill|lookup|rollback|cache`.

What scores is imported by the commands that score: torch takes seconds, a look-up milliseconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.cache import app as cache_app
from service.commands.cache import look_up_query, roll_back
from service.fill.candidates.standard_input import StandardInputForm
from service.fill.distributed.options import FillEngineName, RayOptions
from service.fill.target import DEFAULT_COVERAGE, FillOptions
from service.server.run import run_to_end
from service.settings import load_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.add_typer(cache_app, name="cache")

Marketplace = Annotated[str, typer.Option(help="as us, es or jp")]
Store = Annotated[Path | None, typer.Option(help="model store; MODEL_STORE or var/model-store by default")]
Version = Annotated[str | None, typer.Option("--version", help="a version's number, or latest")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on; HOST or 127.0.0.1 by default")] = None,
    port: Annotated[int | None, typer.Option(help="port; PORT or 8080 by default, 0 takes a free one")] = None,
    store: Store = None,
    version: Version = None,
) -> None:
    """Serve scores and the offline cache over HTTP."""
    from service.server.run import serve as run_server

    run_server(load_settings(host=host, port=port, model_store=store, model_version=version))


@app.command()
def settings(as_json: AsJson = False) -> None:
    """Print the settings in force and where each comes from; secrets are masked."""
    from service.commands.settings import print_settings

    print_settings(load_settings(), as_json)


@app.command()
def score(
    query: Annotated[str, typer.Argument(help="what somebody searches for")],
    titles: Annotated[list[str], typer.Argument(help="titles of products")],
    marketplace: Marketplace,
    store: Store = None,
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Print the scores of products for a query, without the cache."""
    from service.commands.score_and_fill import score_titles

    score_titles(load_settings(model_store=store, model_version=version), marketplace, query, titles, as_json)


@app.command()
def fill(
    candidates: Annotated[
        list[str],
        typer.Argument(help="TSV, CSV, JSON lines (also .gz) or Parquet files, folders of such, or - for stdin"),
    ],
    marketplace: Annotated[list[str], typer.Option(help="as us, es or jp; repeat it to fill several in turn")],
    store: Store = None,
    version: Version = None,
    report: Annotated[Path | None, typer.Option(help="also write the JSON report to this file")] = None,
    stdin_form: Annotated[
        StandardInputForm, typer.Option(help="form of what - reads; gzip is recognised")
    ] = "tsv",
    traffic: Annotated[
        Path | None, typer.Option(help="table of query, count; only the most frequent queries are filled")
    ] = None,
    coverage: Annotated[
        float, typer.Option(help="share of that traffic that the filled queries make up")
    ] = DEFAULT_COVERAGE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would change, flip nothing")] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="go on although shares moved by more than the settings allow")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="forget a fill that was interrupted")] = False,
    engine: Annotated[FillEngineName, typer.Option(help="this process, or a Ray cluster")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="of the cluster, HOST:PORT or auto; starts one on this machine by default")
    ] = None,
    ray_actors: Annotated[
        int | None, typer.Option(help="how many score; as many as there is room for by default")
    ] = None,
    ray_actor_cpus: Annotated[int, typer.Option(help="cores of an actor")] = 1,
    ray_actor_gpus: Annotated[int, typer.Option(help="GPUs of an actor")] = 0,
) -> None:
    """Score candidates into a new generation of the cache and let readers see it; print a JSON report.

    Of several marketplaces each gets its own generation, and its own entry of the report, which is then a list.
    The same command again goes on with a fill that was interrupted.
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
    query: Annotated[str, typer.Argument(help="what somebody searches for")],
    marketplace: Marketplace,
    min_score: Annotated[float, typer.Option(help="leave out products with lower scores")] = 0.0,
    limit: Annotated[int | None, typer.Option(help="print at most so many products")] = None,
    as_json: AsJson = False,
) -> None:
    """Print what the cache knows of a query."""
    run_to_end(look_up_query(load_settings(), marketplace, query, min_score, limit, as_json))


@app.command()
def rollback(marketplace: Marketplace) -> None:
    """Let readers see the generation before the present one again."""
    run_to_end(roll_back(load_settings(), marketplace))
