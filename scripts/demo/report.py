"""The demo's report, printed: what a person wants to see after a run, and how to try it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from rich.console import Console

from model_store.versions.plain_probes import PlainProbe, plain_probes
from scripts.demo.findings import Findings
from scripts.demo.request import DEFAULT_FOLDER, DemoRequest
from scripts.demo.tables import (
    cached_table,
    forgetting_table,
    matrix_table,
    parameter_table,
    plain_probe_table,
    scored_table,
    threshold_table,
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
