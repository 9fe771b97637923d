"""Commands that load a model: `score` and `fill`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from model_store.errors import ConfigurationError
from model_store.product import Product, QueryProductPair
from model_store.text import checked_text
from service.api.pair_checks import checked_known_marketplace
from service.cache.opening import opened_cache
from service.engine.versions.loading import load_scorer
from service.fill.candidates.standard_input import remove_copies
from service.fill.distributed.options import RayOptions
from service.fill.distributed.scan import ray_engine
from service.fill.job import FillJob
from service.fill.report.report import report_text
from service.fill.scan import LOCAL
from service.fill.target import FillOptions, FillTarget
from service.settings import ServiceSettings


def score_titles(
    settings: ServiceSettings, marketplace: str, query: str, titles: Sequence[str], as_json: bool
) -> None:
    """Print score, verdict and title of each product."""
    text = checked_text(query, field="query")
    names = [checked_text(title, field=f"titles[{place}]") for place, title in enumerate(titles)]
    scorer = load_scorer(settings.model_store, settings.model_version, settings.engine)
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
    settings: ServiceSettings,
    marketplaces: Sequence[str],
    paths: Sequence[Path],
    report_file: Path | None,
    options: FillOptions,
    ray_options: RayOptions | None = None,
) -> None:
    """Fill one marketplace after another and print the report, also to a file if there is one.

    Standard output gets the report as JSON, standard error as text.

    A copy of standard input is removed at the end; it stays if the fill does not succeed.

    Raises:
        ConfigurationError: the report cannot be written there, or a marketplace has no threshold; known before
            the first fill begins.
    """
    _check_report_file(report_file)
    engine = ray_engine(ray_options, settings) if ray_options else LOCAL
    scorer = load_scorer(settings.model_store, settings.model_version, settings.engine)
    async with opened_cache(settings) as cache:
        targets = [FillTarget(name, scorer, cache, settings) for name in dict.fromkeys(marketplaces)]
        reports = []
        for job in [FillJob(target, paths, options, engine=engine) for target in targets]:
            report = await job.run()
            typer.echo(report_text(report), err=True)
            reports.append(report.model_dump(mode="json"))
    text = json.dumps(reports if len(reports) > 1 else reports[0], indent=2, ensure_ascii=False)
    typer.echo(text)
    if report_file is not None:
        report_file.write_text(text + "\n", encoding="utf-8")
    remove_copies(paths, settings.fill_folder)


def _check_report_file(report_file: Path | None) -> None:
    if report_file is None:
        return
    if report_file.is_dir():
        raise ConfigurationError(f"--report: {report_file} is a folder; name a file")
    try:
        report_file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--report: {error}; choose a folder that can be written") from error
