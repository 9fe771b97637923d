"""The main job from end to end, on real parts: train, publish, serve, score, fill, read, report.

    python -m scripts.demo --data catalogue --sequence us,es,jp --translation catalogue

Everything is written below one folder that git ignores (`demo/` by default).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import httpx
import typer
from rich.console import Console

from scripts.demo_report import CachedProduct, CachedQuery, DemoReport, Matrix, ScoredQuery, print_report

READY = "ready: "
NOT_READY = "not ready: "
SECONDS_TO_STOP = 30.0
QUERIES_SHOWN = 3
CANDIDATE_QUERIES = 30
CANDIDATES_PER_QUERY = 20

console = Console(highlight=False)


class DemoError(RuntimeError):
    """A part of the demo did not do what it must."""


def demo(
    data: Annotated[str, typer.Option(help="catalogue, an ESCI file, taxonomy:FOLDER, table:FILE")] = "catalogue",
    sequence: Annotated[str, typer.Option(help="marketplaces in the order of learning")] = "us,es,jp",
    translation: Annotated[str, typer.Option(help="catalogue, glossary:PATH, opus_mt, none")] = "catalogue",
    seed: Annotated[int, typer.Option(help="seed of everything random")] = 0,
    preset: Annotated[str | None, typer.Option(help="quickstart for the catalogue, else standard")] = None,
    folder: Annotated[Path, typer.Option(help="where everything is written")] = Path("demo"),
    settings: Annotated[list[str] | None, typer.Option("--set", help="a field of the preset; repeatable")] = None,
) -> None:
    """Run the whole path and print a report."""
    marketplaces = sequence.split(",")
    preset = preset or ("quickstart" if data.startswith("catalogue") else "standard")
    _announce(data, marketplaces)
    report = DemoReport(data=data, sequence=marketplaces)
    common = ["--data", data, "--sequence", sequence, "--preset", preset, "--seed", str(seed)]
    common += [part for setting in settings or [] for part in ("--set", setting)]
    environment = {
        **os.environ,
        "MODEL_STORE": str(folder / "model-store"),
        "CACHE_FOLDER": str(folder / "cache"),
        "PORT": "0",
        "LOG_LEVEL": "warning",
    }
    run = "-".join([*marketplaces, f"seed{seed}", _slug(data), _slug(translation)])
    with _timed(report, "training"):
        _python(environment, "training", "continual", *common, "--translation", translation, "--run", run)
    with _timed(report, "baseline"):
        output = folder / "sequential_finetuning.json"
        _python(environment, "training", "sequential", *common, "--output", str(output))
    _read_training(report, folder, run, output)
    with _timed(report, "service"), _service(environment) as address, httpx.Client(base_url=address) as client:
        served = _served(report, client)
        _score(report, client, folder, run, served)
        # Where no score reaches the target precision, nothing is cached: the report says so.
        filled = [
            str(entry["name"])
            for entry in report.marketplaces
            if entry["name"] in served and entry["threshold"] is not None
        ]
        if filled:
            _fill(report, environment, folder, data, filled, seed)
        _look_up(report, client, folder)
    report.places = _places(folder, run)
    _write(folder / "report.json", asdict(report))
    print_report(report, console, _next_commands(data, marketplaces[0]))


def _announce(data: str, marketplaces: Sequence[str]) -> None:
    minutes = "6 to 10 minutes" if data.startswith("catalogue") else "20 to 30 minutes for 7,000 rows"
    console.print(
        f"Training {', '.join(marketplaces)} one after another on {data}, then serving it: {minutes} on 2 cores. "
        "Ctrl-C stops it; the same command goes on with the training where it was."
    )


def _slug(text: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in text)[-40:].strip("-").lower()


def _python(environment: dict[str, str], module: str, *arguments: str) -> None:
    console.rule(f"python -m {module} {arguments[0]}")
    command = [sys.executable, "-m", module, *arguments]
    finished = subprocess.run(command, env=environment, check=False)  # noqa: S603 - our own modules
    if finished.returncode != 0:
        raise DemoError(f"python -m {module} {' '.join(arguments)} ended with exit code {finished.returncode}")


@contextlib.contextmanager
def _timed(report: DemoReport, name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    report.seconds[name] = round(time.monotonic() - started, 1)


def _read_training(report: DemoReport, folder: Path, run: str, sequential: Path) -> None:
    steps = sorted((folder / "model-store" / "runs" / run / "steps").glob("*/published.json"))
    published = [json.loads(path.read_text(encoding="utf-8")) for path in steps]
    report.continual = [entry["step"]["test_auc"] for entry in published]
    report.trainable_parameters = [entry["step"]["trainable_parameters"] for entry in published]
    report.publications = [entry["publication"] for entry in published]
    number = published[-1]["publication"]["number"]
    manifest = json.loads((folder / "model-store" / "versions" / f"{number:04d}" / "manifest.json").read_text())
    report.untrained_cosine = manifest["zero_shot_test"]
    report.marketplaces = [{"name": entry["name"], **entry["threshold"]} for entry in manifest["marketplaces"]]
    baseline = json.loads(sequential.read_text(encoding="utf-8"))
    report.sequential_finetuning = cast("Matrix", baseline["test_matrix"])
    report.sequential_parameters = baseline["trainable_parameters"]


@contextlib.contextmanager
def _service(environment: dict[str, str]) -> Iterator[str]:
    """Start the service on a free port, wait for its ready line, and stop it in the end."""
    console.rule("python -m service serve")
    command = [sys.executable, "-m", "service", "serve"]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _ready_address(process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS_TO_STOP)


def _ready_address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(NOT_READY):
            raise DemoError(f"the service is {line.strip()}")
        if line.startswith(READY):
            return line.split()[1]
        console.print(line.rstrip(), markup=False)
    raise DemoError(f"the service ended with exit code {process.wait()} before it was ready")


def _served(report: DemoReport, client: httpx.Client) -> list[str]:
    """Marketplaces of the version that serves: the newest unless the promotion rule kept that back."""
    model = _answered(client.get("/model"))
    report.served_version = model["model_version"]
    return [entry["name"] for entry in model["marketplaces"]]


def _score(report: DemoReport, client: httpx.Client, folder: Path, run: str, served: Sequence[str]) -> None:
    for marketplace in served:
        path = folder / "model-store" / "runs" / run / "evaluation" / marketplace / "test.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        chosen = [*[r for r in rows if r["label"]][:QUERIES_SHOWN], *[r for r in rows if not r["label"]][:2]]
        pairs = [
            {
                "marketplace": marketplace,
                "query": row["query"],
                "product": {"id": row["product_id"], "title": row["product_title"]},
            }
            for row in chosen
        ]
        answer = _answered(client.post("/score", json={"pairs": pairs, "write_cache": True}))
        for row, result in zip(chosen, answer["results"], strict=True):
            report.scored.append(
                ScoredQuery(
                    marketplace=marketplace,
                    query=row["query"],
                    title=row["product_title"],
                    label=row["label"],
                    score=result["score"],
                    highly_relevant=result["highly_relevant"],
                    cached=result["cached"],
                )
            )


def _fill(
    report: DemoReport,
    environment: dict[str, str],
    folder: Path,
    data: str,
    marketplaces: Sequence[str],
    seed: int,
) -> None:
    summary = folder / "fill.json"
    numbers = ["--queries", str(CANDIDATE_QUERIES), "--products", str(CANDIDATES_PER_QUERY), "--seed", str(seed)]
    files, options = [], []
    for name in marketplaces:
        candidates = folder / "candidates" / f"{name}.tsv"
        _python(
            environment, "training", "candidates", "--data", data, "--marketplace", name,
            "--output", str(candidates), *numbers,
        )  # fmt: skip
        files.append(str(candidates))
        options += ["--marketplace", name]
    _python(environment, "service", "fill", *files, *options, "--report", str(summary))
    found = json.loads(summary.read_text(encoding="utf-8"))
    report.fills = found if isinstance(found, list) else [found]


def _look_up(report: DemoReport, client: httpx.Client, folder: Path) -> None:
    for fill in report.fills:
        marketplace = str(fill["marketplace"])
        path = folder / "candidates" / f"{marketplace}.tsv"
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        titles = {row[2]: row[3] for row in rows}
        queries = list(dict.fromkeys(row[1] for row in rows))
        for query in [*queries[:QUERIES_SHOWN], "a query that was never scored"]:
            answer = _answered(client.get(f"/cache/{marketplace}", params={"query": query}))
            products = [
                CachedProduct(id=found["id"], score=found["score"], title=titles.get(found["id"], ""))
                for found in answer["products"]
            ]
            report.cached.append(
                CachedQuery(marketplace=marketplace, query=query, status=answer["status"], products=products)
            )


def _answered(response: httpx.Response) -> Any:
    if response.status_code != httpx.codes.OK:
        raise DemoError(f"{response.request.url}: {response.status_code} {response.text}")
    return response.json()


def _places(folder: Path, run: str) -> dict[str, str]:
    return {
        "model store": str(folder / "model-store"),
        "run": str(folder / "model-store" / "runs" / run),
        "logs": f"tensorboard --logdir {folder / 'model-store' / 'runs' / run}",
        "cache": str(folder / "cache"),
        "candidates": str(folder / "candidates"),
        "this report": str(folder / "report.json"),
    }


def _next_commands(data: str, marketplace: str) -> list[str]:
    more, name = ("catalogue", "de") if data.startswith("catalogue") else ("table:YOUR_FILE", "NAME")
    return [
        "make serve",
        f"curl '127.0.0.1:8080/cache/{marketplace}?query=...'",
        "MODEL_STORE=demo/model-store .venv/bin/python -m model_store list",
        "MODEL_STORE=demo/model-store .venv/bin/python -m training evaluate",
        f"MODEL_STORE=demo/model-store .venv/bin/python -m training add --data {more} --marketplace {name}",
    ]


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Entry point: a failed part ends the demo with its message and exit code 1."""
    try:
        typer.run(demo)
    except DemoError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
