"""The demo's report, printed: what a person wants to see after a run, and how to try it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from rich.console import Console

from model_store.versions.plain_probes import PlainProbe, plain_probes
from scripts.demo.baseline import Baseline
from scripts.demo.plan import DEFAULT_FOLDER, DemoRequest
from scripts.demo.published_versions import PublishedVersion
from scripts.demo.tables import (
    cached_table,
    forgetting_table,
    matrix_table,
    parameter_table,
    plain_probe_table,
    scored_table,
    threshold_table,
)

if TYPE_CHECKING:
    from model_store.versions.manifest import Manifest

Matrix = list[dict[str, float]]


class PlainProbeRow(TypedDict):
    """Shares of a language's everyday queries that a marketplace ranks right, from 0 to 1.

    By the untrained encoder, by the version that had just learnt the marketplace (None if that version knows no
    share), and by the newest one.
    """

    language: str
    probes: int
    untrained: float
    when_learnt: float | None
    now: float


class ScoredQuery(TypedDict):
    """One query-product pair as the service scored it."""

    marketplace: str
    query: str
    title: str
    label: int
    score: float
    highly_relevant: bool
    cached: bool


class CachedProduct(TypedDict):
    """A product that the cache answers with; the title is the candidate file's."""

    id: str
    score: float
    title: str


class CachedQuery(TypedDict):
    """What the cache answers for a query."""

    marketplace: str
    query: str
    status: str
    products: list[CachedProduct]


@dataclass(slots=True)
class Findings:
    """`baseline` is None where it was neither measured nor kept; `baseline_is_kept` tells which of the two.

    `seconds` are by step, `part_seconds` by kind of part, as in `expected_seconds.json`.
    """

    data: str
    sequence: list[str]
    continual: Matrix = field(default_factory=list)
    untrained_cosine: dict[str, float] = field(default_factory=dict)
    baseline: Baseline | None = None
    baseline_is_kept: bool = False
    trainable_parameters: list[dict[str, int]] = field(default_factory=list)
    marketplaces: list[dict[str, object]] = field(default_factory=list)
    plain_probes: dict[str, PlainProbeRow] = field(default_factory=dict)
    publications: list[PublishedVersion] = field(default_factory=list)
    served_version: int = 0
    served_marketplaces: list[str] = field(default_factory=list)
    scored: list[ScoredQuery] = field(default_factory=list)
    fills: list[dict[str, object]] = field(default_factory=list)
    cached: list[CachedQuery] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    part_seconds: dict[str, float] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def plain_probe_row(marketplace: str, manifests: Sequence[Manifest]) -> PlainProbeRow:
    """What the versions of a run, the newest last, say of a marketplace's plain probes."""
    newest = manifests[-1].plain_probes[marketplace]
    first = next(manifest for manifest in manifests if marketplace in manifest.names)
    learnt = first.plain_probes.get(marketplace)
    return PlainProbeRow(
        language=newest.language,
        probes=newest.probes,
        untrained=newest.untrained,
        when_learnt=learnt.share if learnt else None,
        now=newest.share,
    )


def plain_pairs(language: str) -> list[tuple[str, str, str, int]]:
    """A query with one product for it and one that is not: query, product's id and title, label.

    In English where the language has no plain probes.
    """
    probe = plain_probe(language)
    return [
        (probe.query, "plain-1", probe.relevant, 1),
        (probe.query, "plain-2", probe.irrelevant[0], 0),
    ]


def plain_probe(language: str) -> PlainProbe:
    """The language's first plain probe of more than one word, as `usb cable`."""
    probes = plain_probes(language) or plain_probes("en")
    return next(probe for probe in probes if len(probe.query.split()) > 1)


ADDRESS = "127.0.0.1:8080"


def print_report(request: DemoRequest, findings: Findings, console: Console) -> None:
    """Print all that was found; the last lines say how to try it."""
    console.rule("What was learnt")
    console.print(matrix_table(findings))
    if len(findings.sequence) > 1:
        console.print(forgetting_table(findings))
    _say(console, _baseline_note(findings))
    if findings.plain_probes:
        console.print(plain_probe_table(findings.plain_probes))
    console.print(parameter_table(findings))
    for version in findings.publications:
        after = "" if version.seconds is None else f", {version.seconds:.0f} s after training began"
        _say(console, f"version {version.number} ({version.marketplace}{after}): {version.reason}")
    _say(console, f"the service runs version {findings.served_version}")
    console.rule("Highly relevant: thresholds on validation data")
    console.print(threshold_table(findings.marketplaces))
    console.rule("Some pairs, scored over HTTP")
    console.print(scored_table(findings.scored))
    console.rule("What the offline cache answers now")
    console.print(cached_table(findings.cached))
    console.rule("Where everything lies")
    for name, place in findings.places.items():
        _say(console, f"{name:<14} {place}")
    seconds = ", ".join(f"{name} {value:.0f} s" for name, value in findings.seconds.items())
    _say(console, f"time: {seconds}")
    console.rule("Try it")
    for command in next_commands(request, findings):
        _say(console, command)


def next_commands(request: DemoRequest, findings: Findings) -> list[str]:
    """What to do next: commands that look at the store, and in the end those that serve, score and show."""
    python, store = ".venv/bin/python", _variable("MODEL_STORE", request.store)
    data, name = ("catalogue", "de") if request.data.startswith("catalogue") else ("table:YOUR_FILE", "NAME")
    cache = _variable("CACHE_FOLDER", request.folder / "cache")
    serve = "make serve" if request.folder == DEFAULT_FOLDER else f"{store} {cache} {python} -m service serve"
    return [
        f"{store} {python} -m model_store list",
        f"{store} {python} -m training add --data {data} --marketplace {name}",
        f"serve it:             {serve}",
        f"score a plain pair:   {score_command(findings)}",
        f"in a browser:         http://{ADDRESS}/",
    ]


def score_command(findings: Findings) -> str:
    """A curl command that scores an everyday pair in the first marketplace that is served."""
    marketplace = findings.served_marketplaces[0]
    language = next(str(entry["language"]) for entry in findings.marketplaces if entry["name"] == marketplace)
    probe = plain_probe(language)
    pair = {"marketplace": marketplace, "query": probe.query, "product": {"id": "1", "title": probe.relevant}}
    body = json.dumps({"pairs": [pair]}, ensure_ascii=False)
    return f"curl -s {ADDRESS}/score -H 'content-type: application/json' -d {shlex.quote(body)}"


def _baseline_note(findings: Findings) -> str:
    if findings.baseline is None:
        return "sequential fine-tuning: not measured; `make demo BASELINE=1` adds it"
    if findings.baseline_is_kept:
        source = findings.baseline.source
        return f"sequential fine-tuning: kept figures, not of this run ({source}); BASELINE=1 measures it here"
    return f"sequential fine-tuning: measured here in {findings.baseline.seconds:.0f} s"


def _variable(name: str, value: Path) -> str:
    return f"{name}={shlex.quote(str(value))}"


def _say(console: Console, text: str) -> None:
    console.print(f"  {text}", soft_wrap=True, markup=False)
