"""Commands that load a model: `score` and `fill`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from model_store.errors import ConfigurationError, PartialFlipError
from model_store.files import replaced_file
from model_store.output import OutputError, print_news
from model_store.product import Product, QueryProductPair
from model_store.text import checked_marketplace, checked_text
from service.api.pair_checks import checked_known_marketplace
from service.cache.store import opened_cache
from service.engine.versions.loading import load_scorer
from service.fill.candidates.standard_input import remove_copies
from service.fill.distributed.options import RayOptions
from service.fill.job import FillJob
from service.fill.options import FillOptions
from service.fill.report.report import FillReport, report_text
from service.fill.scan import LOCAL, FillEngine
from service.fill.target import FillTarget
from service.settings import ServiceSettings


def score_titles(
    settings: ServiceSettings, marketplace: str, query: str, titles: Sequence[str], as_json: bool
) -> None:
    """Print score, verdict and title of each product."""
    text = checked_text(query, field="query")
    names = [checked_text(title, field=f"titles[{place}]") for place, title in enumerate(titles)]
    scorer = load_scorer(settings.model_store, settings.model_version, settings.engine)
    known = checked_known_marketplace(marketplace, scorer.marketplaces)
    pairs = [QueryProductPair(known, text, Product(str(place), name)) for place, name in enumerate(names)]
    rows = [
        {"title": name, "score": value, "highly_relevant": scorer.is_highly_relevant(known, value)}
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

    Standard output gets the report as JSON, standard error as text. Once readers see a new generation, a report
    that cannot be printed or written is a warning.

    A copy of standard input is removed at the end; it stays if the fill does not succeed.

    Raises:
        ConfigurationError: the report cannot be written there, or a marketplace has no threshold; known before
            the first fill begins.
        PartialFlipError: a marketplace could not be filled, and readers see the new generations of others.
    """
    _check_report_file(report_file)
    engine = _ray_engine(ray_options, settings) if ray_options else LOCAL
    scorer = load_scorer(settings.model_store, settings.model_version, settings.engine)
    names = list(dict.fromkeys(map(checked_marketplace, marketplaces)))
    jobs: list[FillJob] = []
    reports: list[FillReport] = []
    try:
        async with opened_cache(settings) as cache:
            targets = [FillTarget(name, scorer, cache, settings) for name in names]
            jobs += [FillJob(target, paths, options, engine=engine) for target in targets]
            for job in jobs:
                reports.append(await job.run())
                print_news(report_text(reports[-1]))
    except Exception as error:  # noqa: BLE001 - raised again unless readers see everything that was asked for
        _raise_unless_flipped(jobs, error)
    finally:
        if reports:
            _hand_out(reports, report_file, as_list=len(names) > 1)
    with _warning("the copy of standard input stays"):
        remove_copies(paths, settings.fill_folder)


def _ray_engine(options: RayOptions, settings: ServiceSettings) -> FillEngine:
    # Here, as Ray is an extra: everything else works without it.
    from service.fill.distributed.scan import ray_engine

    return ray_engine(options, settings)


def _raise_unless_flipped(jobs: Sequence[FillJob], error: Exception) -> None:
    """With the error's own exit code readers see what they saw before."""
    flipped = [job.marketplace for job in jobs if job.flipped]
    if not flipped:
        raise error
    left = [job.marketplace for job in jobs if not job.flipped]
    if left:
        raise PartialFlipError(
            f"{error} -- readers see the new generation of {', '.join(flipped)}; fill {', '.join(left)} again"
        ) from error
    print_news(f"warning: readers see the new generation; then this went wrong: {error}")


def _hand_out(reports: Sequence[FillReport], report_file: Path | None, *, as_list: bool) -> None:
    """Print the reports as JSON, and write them to the file."""
    content = [report.model_dump(mode="json") for report in reports]
    text = json.dumps(content if as_list else content[0], indent=2, ensure_ascii=False) + "\n"
    with _warning("the report cannot be printed"):
        typer.echo(text, nl=False)
    if report_file is not None:
        with _warning(f"the report cannot be written to {report_file}"), replaced_file(report_file) as file:
            file.write(text.encode("utf-8", "backslashreplace"))


@contextmanager
def _warning(problem: str) -> Iterator[None]:
    """A fill that has ended well does not fail by what comes after it."""
    try:
        yield
    except (OSError, OutputError) as error:
        print_news(f"warning: {problem}: {error}")


def _check_report_file(report_file: Path | None) -> None:
    if report_file is None:
        return
    if report_file.is_dir():
        raise ConfigurationError(f"--report: {report_file} is a folder; name a file")
    try:
        report_file.parent.mkdir(parents=True, exist_ok=True)
        there = report_file if report_file.exists() else report_file.parent
    except OSError as error:
        raise ConfigurationError(f"--report: {error}; choose a folder that can be written") from error
    if not os.access(there, os.W_OK):
        raise ConfigurationError(f"--report: {there} cannot be written; choose a file that can")
