"""The main job from end to end, on real parts: train, publish, serve, score, fill, read, report.

    python -m scripts.demo --data catalogue --sequence us,es,jp --translation catalogue

Everything is written below one folder that git ignores (`demo/` by default).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model_store.cli import INTERRUPTED
from model_store.files import write_json
from scripts.demo import baseline as sequential_baseline
from scripts.demo.findings import Findings
from scripts.demo.journey import Journey
from scripts.demo.learning import learn
from scripts.demo.plan import STARTING, demo_steps, seconds_by_kind
from scripts.demo.progress_line import ProgressLine
from scripts.demo.request import DEFAULT_FOLDER, DemoRequest
from training.configuration import load_configuration

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def demo(
    data: Annotated[str, typer.Option(help="catalogue, an ESCI file, taxonomy:FOLDER, table:FILE")] = "catalogue",
    sequence: Annotated[str, typer.Option(help="marketplaces in the order of learning")] = "us,es,jp",
    translation: Annotated[str, typer.Option(help="catalogue, glossary:PATH, opus_mt, none")] = "catalogue",
    seed: Annotated[int, typer.Option(help="seed for all random choices")] = 0,
    preset: Annotated[
        str | None,
        typer.Option(help="preset of the training; by default quickstart for the catalogue, else standard"),
    ] = None,
    folder: Annotated[Path, typer.Option(help="folder to write everything to")] = DEFAULT_FOLDER,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="also measure sequential fine-tuning, which takes minutes")
    ] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="change a field of the preset; may be repeated")
    ] = None,
) -> None:
    """Train, publish, serve, score, fill and read, and print a report."""
    request = DemoRequest(
        data=data,
        sequence=tuple(sequence.split(",")),
        translation=translation,
        seed=seed,
        preset=preset or ("quickstart" if data.startswith("catalogue") else "standard"),
        settings=tuple(settings or ()),
        folder=folder,
        baseline=baseline,
    )
    try:
        run_demo(request, Console(highlight=False))
    except KeyboardInterrupt as error:
        typer.echo("interrupted; the same command resumes training where it was", err=True)
        raise typer.Exit(INTERRUPTED) from error


def run_demo(request: DemoRequest, console: Console) -> None:
    """Train, serve, score, fill, read; write `report.json` and print the report.

    Raises:
        RelevanceError: a part failed.
    """
    # What needs torch is imported where it is used: the line of progress appears first.
    request.folder.mkdir(parents=True, exist_ok=True)
    findings = Findings(data=request.data, sequence=list(request.sequence))
    anchors = load_configuration(request.preset, request.overrides()).anchors.weight > 0
    journey = Journey(demo_steps(request.sequence, request.baseline, anchors))
    with ProgressLine(journey) as line:
        with _timed(findings, "training"):
            learn(request, findings, line)
        _compare(request, findings, line)
        from scripts.demo.serving import running_service, use_service

        line.enter(STARTING)
        with _timed(findings, "service"), running_service(request) as client:
            line.over()
            use_service(request, findings, client, line)
    findings.seconds["all"] = round(journey.elapsed, 1)
    findings.part_seconds = seconds_by_kind(journey.seconds)
    findings.places = _places(request)
    from scripts.demo.report import print_report

    write_json(request.folder / "report.json", asdict(findings))
    print_report(request, findings, console)


def _compare(request: DemoRequest, findings: Findings, line: ProgressLine) -> None:
    if request.baseline:
        with _timed(findings, "baseline"):
            findings.baseline = sequential_baseline.measure(request, line)
    else:
        findings.baseline = sequential_baseline.kept(request)
        findings.baseline_is_kept = findings.baseline is not None


@contextmanager
def _timed(findings: Findings, name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    findings.seconds[name] = round(time.monotonic() - started, 1)


def _places(request: DemoRequest) -> dict[str, str]:
    return {
        "model store": str(request.store),
        "run": str(request.run_folder),
        "logs": f"tensorboard --logdir {request.run_folder}",
        "cache": str(request.folder / "cache"),
        "candidates": str(request.folder / "candidates"),
        "service's log": str(request.folder / "service.log"),
        "this report": str(request.folder / "report.json"),
    }
