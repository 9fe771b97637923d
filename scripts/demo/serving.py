"""The served half of the demo: the service in a process of its own, asked over HTTP as any client would."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from model_store.errors import RelevanceError
from scripts.demo.findings import CachedProduct, CachedQuery, Findings, ScoredQuery
from scripts.demo.plan import FILLING, LOOKING_UP, SCORING
from scripts.demo.progress_line import ProgressLine
from scripts.demo.report import plain_pairs
from scripts.demo.request import DemoRequest

CANDIDATE_QUERIES = 16
CANDIDATES_PER_QUERY = 8
RESCORED_PAIRS = 16
"""With so few candidates, fewer of them than by default are scored again to verify what was written."""
QUERIES_SHOWN = 3
NEVER_SCORED = "a query that was never scored"
_READY, _NOT_READY = "ready: ", "not ready: "
_SECONDS_TO_STOP = 30.0
_REQUEST_SECONDS = 120.0
_SECONDS_BETWEEN_LOOKS = 0.2
_LINES_SHOWN = 20


class DemoError(RelevanceError):
    """A part of the demo did not do what it must."""


@contextlib.contextmanager
def running_service(request: DemoRequest) -> Iterator[httpx.Client]:
    """A client of the service, which is started on a free port, and stopped in the end.

    Raises:
        DemoError: it did not become ready; the message has the end of its log.
    """
    log = request.folder / "service.log"
    environment = {
        **os.environ,
        "MODEL_STORE": str(request.store),
        "CACHE_FOLDER": str(request.folder / "cache"),
        "FILL_FOLDER": str(request.folder / "fills"),
        "JOBS_FOLDER": str(_candidates(request)),
        "FILL_RESCORED_PAIRS": str(RESCORED_PAIRS),
        "PORT": "0",
        "LOG_LEVEL": "warning",
    }
    _candidates(request).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "service", "serve"]
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(  # noqa: S603 - our own module
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            address = _ready_address(process, log)
            with httpx.Client(base_url=address, timeout=_REQUEST_SECONDS) as client:
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_SECONDS_TO_STOP)


def _ready_address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(_NOT_READY):
            raise DemoError(f"the service is {line.strip()}{_end_of(log)}")
        if line.startswith(_READY):
            return line.split()[1]
    raise DemoError(f"the service ended with exit code {process.wait()} before it was ready{_end_of(log)}")


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES_SHOWN:]
    return "\n".join([f"; {log} ends with", *lines]) if lines else ""


def use_service(request: DemoRequest, findings: Findings, client: httpx.Client, line: ProgressLine) -> None:
    """Score pairs, fill the cache from files of candidates, and read it."""
    # Of the version that serves: the newest unless the promotion rule kept that back.
    model = _answered(client.get("/model"))
    findings.served_version = model["model_version"]
    findings.served_marketplaces = [entry["name"] for entry in model["marketplaces"]]
    line.enter(SCORING)
    for entry in model["marketplaces"]:
        _score(request, findings, client, entry)
    # Where no score reaches the target precision nothing is cached: the report says so.
    filled = [entry["name"] for entry in model["marketplaces"] if entry["threshold"] is not None]
    if filled:
        line.enter(FILLING)
        _fill(request, findings, client, filled, line)
    line.enter(LOOKING_UP)
    for name in filled:
        _look_up(request, findings, client, name)
    line.over()


def _score(
    request: DemoRequest, findings: Findings, client: httpx.Client, marketplace: Mapping[str, Any]
) -> None:
    name = marketplace["name"]
    chosen = [*plain_pairs(marketplace["language"]), *_test_pairs(request, name)]
    pairs = [
        {"marketplace": name, "query": query, "product": {"id": product, "title": title}}
        for query, product, title, _ in chosen
    ]
    answer = _answered(client.post("/score", json={"pairs": pairs, "write_cache": True}))
    for (query, _, title, label), result in zip(chosen, answer["results"], strict=True):
        findings.scored.append(
            ScoredQuery(
                marketplace=name,
                query=query,
                title=title,
                label=label,
                score=result["score"],
                highly_relevant=result["highly_relevant"],
                cached=result["cached"],
            )
        )


def _test_pairs(request: DemoRequest, marketplace: str) -> list[tuple[str, str, str, int]]:
    """Query, product's id and title, and label: some test rows of the run."""
    path = request.run_folder / "evaluation" / marketplace / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    chosen = [*[r for r in rows if r["label"]][:QUERIES_SHOWN], *[r for r in rows if not r["label"]][:2]]
    return [(row["query"], row["product_id"], row["product_title"], row["label"]) for row in chosen]


def _fill(
    request: DemoRequest,
    findings: Findings,
    client: httpx.Client,
    marketplaces: Sequence[str],
    line: ProgressLine,
) -> None:
    from training.commands.candidates import write_candidates

    pairs = {
        name: write_candidates(
            request.data, name, _candidates(request) / f"{name}.tsv", CANDIDATE_QUERIES, CANDIDATES_PER_QUERY,
            request.seed, _in_silence,
        )
        for name in marketplaces
    }  # fmt: skip
    filled, total = 0, sum(pairs.values())
    line.count(0, total, "pairs")
    for name in marketplaces:
        # Another version may keep other shares than the one before it; here that is no accident.
        job = {"marketplace": name, "candidates": [f"{name}.tsv"], "accept_changes": True}
        answer = client.post("/jobs/fill", json=job)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise DemoError(f"{answer.request.url}: {answer.status_code} {answer.text}")
        for scored in _until_done(client, answer.headers["Location"], findings):
            line.count(filled + scored, total, "pairs")
        filled += pairs[name]


def _until_done(client: httpx.Client, location: str, findings: Findings) -> Iterator[int]:
    """How many pairs a job has scored, again and again; its report is noted in the end."""
    while True:
        job = _answered(client.get(location))
        yield job["progress"]["scored"] if job["progress"] else 0
        if job["state"] == "succeeded":
            findings.fills.append(job["report"])
            return
        if job["error"]:
            raise DemoError(f"filling {job['request']['marketplace']}: {job['error']['detail']}")
        time.sleep(_SECONDS_BETWEEN_LOOKS)  # the API has no other way to hear of a job's end


def _look_up(request: DemoRequest, findings: Findings, client: httpx.Client, marketplace: str) -> None:
    path = _candidates(request) / f"{marketplace}.tsv"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    titles = {row[2]: row[3] for row in rows}
    queries = list(dict.fromkeys(row[1] for row in rows))
    for query in [*queries[:QUERIES_SHOWN], NEVER_SCORED]:
        answer = _answered(client.get(f"/cache/{marketplace}", params={"query": query}))
        products = [
            CachedProduct(id=found["id"], score=found["score"], title=titles.get(found["id"], ""))
            for found in answer["products"]
        ]
        findings.cached.append(
            CachedQuery(marketplace=marketplace, query=query, status=answer["status"], products=products)
        )


def _candidates(request: DemoRequest) -> Path:
    return (request.folder / "candidates").absolute()


def _answered(response: httpx.Response) -> Any:
    if response.status_code != httpx.codes.OK:
        raise DemoError(f"{response.request.url}: {response.status_code} {response.text}")
    return response.json()


def _in_silence(text: str) -> None:
    """The demo's own line tells how it gets on."""
