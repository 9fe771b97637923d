"""Commands on the offline cache alone: they need no model, and start in a fraction of a second."""

from __future__ import annotations

import json

import typer

from model_store.text import checked_marketplace, checked_text
from service.cache.offline_cache import CacheAnswer
from service.cache.opening import opened_cache
from service.settings import ServiceSettings


async def look_up_query(settings: ServiceSettings, marketplace: str, query: str, as_json: bool) -> None:
    """Print a query's products with scores, or that there are none, or that nothing is known."""
    name, text = checked_marketplace(marketplace), checked_text(query, field="query")
    async with opened_cache(settings) as cache:
        found = await cache.read(name, text)
    typer.echo(_as_json(found) if as_json else _as_lines(found))


async def roll_back(settings: ServiceSettings, marketplace: str) -> None:
    """Flip to the previous generation."""
    async with opened_cache(settings) as cache:
        generation = await cache.generations.rollback(checked_marketplace(marketplace))
    typer.echo(
        f"{marketplace}: generation {generation.number} (model version {generation.model_version}) is read now"
    )


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
    if found.status == "nothing_relevant":
        return "scored, nothing relevant"
    return "\n".join(f"{product.score:.4f}\t{product.id}" for product in found.products)
