"""What the commands do, apart from reading their options."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from model_store.errors import ConfigurationError
from model_store.product import Product, QueryProductPair
from model_store.text import checked_marketplace, checked_text
from service.api.pair_checks import checked_known_marketplace
from service.cache.offline_cache import CacheAnswer
from service.cache.opening import opened_cache
from service.engine.scorer import Scorer
from service.fill.job import FillJob, FillTarget
from service.settings import ServiceSettings


def load_scorer(settings: ServiceSettings) -> Scorer:
    """The scorer that the settings name; raises as `Scorer.load`."""
    return Scorer.load(settings.model_store, settings.model_version, settings.device, settings.token_budget)


def score_titles(
    settings: ServiceSettings, marketplace: str, query: str, titles: Sequence[str], as_json: bool
) -> None:
    """Print score, verdict and title of each product."""
    text = checked_text(query, field="query")
    names = [checked_text(title, field=f"titles[{place}]") for place, title in enumerate(titles)]
    scorer = load_scorer(settings)
    checked_known_marketplace(marketplace, scorer.marketplaces)
    pairs = [QueryProductPair(marketplace, text, Product(str(place), name)) for place, name in enumerate(names)]
    rows = [
        {"title": name, "score": value, "highly_relevant": scorer.is_highly_relevant(marketplace, value)}
        for name, value in zip(names, scorer.score(pairs), strict=True)
    ]
    if as_json:
        typer.echo(json.dumps({"model_version": scorer.model_version, "results": rows}, ensure_ascii=False))
        return
    for row in rows:
        verdict = "highly relevant" if row["highly_relevant"] else "-"
        typer.echo(f"{row['score']:.4f}\t{verdict}\t{row['title']}")


async def fill_files(
    settings: ServiceSettings, marketplace: str, paths: Sequence[Path], report_file: Path | None
) -> None:
    """Run a fill and print its report, also to a file if there is one.

    Raises:
        ConfigurationError: the report cannot be written there; known before the fill begins.
    """
    _make_folder(report_file)
    scorer = load_scorer(settings)
    async with opened_cache(settings) as cache:
        report = await FillJob(FillTarget(marketplace, scorer, cache, settings), paths).run()
    text = report.model_dump_json(indent=2)
    typer.echo(text)
    if report_file is not None:
        report_file.write_text(text + "\n", encoding="utf-8")


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


def _make_folder(report_file: Path | None) -> None:
    if report_file is None:
        return
    try:
        report_file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--report: {error}; choose a folder that can be written") from error


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
