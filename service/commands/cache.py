"""`python -m service cache`: list generations, and take things out of the cache. Needs no model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from model_store.text import checked_marketplace, checked_text
from service.cache.look_ups import CacheAnswer
from service.cache.store import opened_cache
from service.commands.interruptible import run_to_end
from service.settings import ServiceSettings, load_settings


async def look_up_query(
    settings: ServiceSettings,
    marketplace: str,
    query: str,
    min_score: float,
    limit: int | None,
    as_json: bool,
) -> None:
    """Print a query's products with scores, or that there are none, or that nothing is known."""
    name, text = checked_marketplace(marketplace), checked_text(query, field="query")
    async with opened_cache(settings) as cache:
        found = await cache.read(name, text, min_score=min_score, limit=limit)
    typer.echo(_as_json(found) if as_json else _as_lines(found))


async def roll_back(settings: ServiceSettings, marketplace: str) -> None:
    """Flip to the previous generation."""
    name = checked_marketplace(marketplace)
    async with opened_cache(settings) as cache:
        generation = await cache.generations.rollback(name)
    typer.echo(f"{name}: generation {generation.number} (model version {generation.model_version}) is read now")


async def list_generations(settings: ServiceSettings, marketplace: str, as_json: bool) -> None:
    """Print all generations, the newest first, and which is read."""
    name = checked_marketplace(marketplace)
    async with opened_cache(settings) as cache:
        active = await cache.generations.readable_active(name)
        found, unreadable = await cache.generations.listed(name)
        if not unreadable:
            active = await cache.generations.active(name)
    number = active.number if active else None
    if as_json:
        rows = [{**one.model_dump(mode="json"), "active": one.number == number} for one in reversed(found)]
        typer.echo(json.dumps(rows))
    else:
        for one in reversed(found):
            state = "read now" if one.number == number else one.state
            created = one.created_at.isoformat(timespec="seconds")
            typer.echo(f"{one.number}\tmodel version {one.model_version}\t{created}\t{state}")
    if unreadable:
        raise unreadable[0]


async def purge_generation(settings: ServiceSettings, marketplace: str, number: int) -> None:
    """Remove a generation that is not read."""
    name = checked_marketplace(marketplace)
    async with opened_cache(settings) as cache:
        await cache.generations.purge(name, number)
    typer.echo(f"{name}: generation {number} is removed")


async def purge_query(settings: ServiceSettings, marketplace: str, query: str) -> None:
    """Forget a query in all generations."""
    name, text = checked_marketplace(marketplace), checked_text(query, field="query")
    async with opened_cache(settings) as cache:
        count = await cache.purge_query(name, text)
    typer.echo(f"{name}: removed from {count} generations")


async def purge_products(settings: ServiceSettings, marketplace: str, ids: Sequence[str]) -> None:
    """Take products off sale."""
    name, checked = checked_marketplace(marketplace), [checked_text(one, field="product") for one in ids]
    async with opened_cache(settings) as cache:
        count = await cache.purge_products(name, checked)
    typer.echo(f"{name}: taken out of {count} entries")


async def restore_products(settings: ServiceSettings, marketplace: str, ids: Sequence[str]) -> None:
    """Products are on sale again."""
    name, checked = checked_marketplace(marketplace), [checked_text(one, field="product") for one in ids]
    async with opened_cache(settings) as cache:
        await cache.restore_products(name, checked)
    typer.echo(f"{name}: may be cached again")


def _as_json(found: CacheAnswer) -> str:
    generation = found.generation
    content = {
        "status": found.status,
        "products": [{"id": product.id, "score": product.score} for product in found.products],
        "generation": generation.number if generation else None,
        "model_version": generation.model_version if generation else None,
    }
    return json.dumps(content, ensure_ascii=False)


def _as_lines(found: CacheAnswer) -> str:
    if found.status == "never_scored":
        return "never scored"
    if found.status == "expired":
        return "no entry; it may have expired"
    if found.status == "nothing_relevant":
        return "scored, nothing relevant"
    return "\n".join(f"{product.score:.4f}\t{product.id}" for product in found.products)


app = typer.Typer(no_args_is_help=True, help=__doc__)

Marketplace = Annotated[str, typer.Option(help="marketplace, for example us, es or jp")]
Products = Annotated[list[str], typer.Argument(help="product ids")]


@app.command()
def generations(
    marketplace: Marketplace, as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False
) -> None:
    """Print the generations of a marketplace, newest first."""
    run_to_end(list_generations(load_settings(), marketplace, as_json))


@app.command("purge-generation")
def purge_one_generation(number: Annotated[int, typer.Argument()], marketplace: Marketplace) -> None:
    """Remove a generation. The one that is read is refused."""
    run_to_end(purge_generation(load_settings(), marketplace, number))


@app.command("purge-query")
def purge_one_query(query: Annotated[str, typer.Argument()], marketplace: Marketplace) -> None:
    """Forget a query in all generations. Its status is never_scored until it is scored again."""
    run_to_end(purge_query(load_settings(), marketplace, query))


@app.command("purge-product")
def purge_some_products(ids: Products, marketplace: Marketplace) -> None:
    """Take products off sale. They leave all answers and stay away until restore-product."""
    run_to_end(purge_products(load_settings(), marketplace, ids))


@app.command("restore-product")
def restore_some_products(ids: Products, marketplace: Marketplace) -> None:
    """Put products on sale again. The next fill may bring them back."""
    run_to_end(restore_products(load_settings(), marketplace, ids))
