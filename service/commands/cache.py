"""`python -m service cache`: generations, and what is taken out of the cache by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cache_commands import (
    list_generations,
    purge_generation,
    purge_products,
    purge_query,
    restore_products,
)
from service.running import run_to_end
from service.settings import load_settings

app = typer.Typer(no_args_is_help=True, help=__doc__)

Marketplace = Annotated[str, typer.Option(help="as us, es or jp")]
Products = Annotated[list[str], typer.Argument(help="product ids")]


@app.command()
def generations(
    marketplace: Marketplace, as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False
) -> None:
    """Print the generations of a marketplace, the newest first."""
    run_to_end(list_generations(load_settings(), marketplace, as_json))


@app.command("purge-generation")
def purge_one_generation(number: Annotated[int, typer.Argument()], marketplace: Marketplace) -> None:
    """Remove a generation that is not read."""
    run_to_end(purge_generation(load_settings(), marketplace, number))


@app.command("purge-query")
def purge_one_query(query: Annotated[str, typer.Argument()], marketplace: Marketplace) -> None:
    """Forget a query in all generations; it is then never scored until it is scored again."""
    run_to_end(purge_query(load_settings(), marketplace, query))


@app.command("purge-product")
def purge_some_products(ids: Products, marketplace: Marketplace) -> None:
    """Take products off sale: out of all answers, and no writer brings them back."""
    run_to_end(purge_products(load_settings(), marketplace, ids))


@app.command("restore-product")
def restore_some_products(ids: Products, marketplace: Marketplace) -> None:
    """Products are on sale again; the next fill may bring them back."""
    run_to_end(restore_products(load_settings(), marketplace, ids))
