"""`python -m service` as its users run it: in processes of their own, over a real socket and a real Valkey."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.service.fill.candidate_files import write_candidates

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Shop:
    """A store and a cache folder that all commands of a test share."""

    environment: Mapping[str, str]

    def run(self, *arguments: str, expect: int = 0) -> tuple[str, str]:
        """Standard output and error of `python -m service ARGUMENTS`."""
        finished = subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            cwd=REPOSITORY,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert finished.returncode == expect, finished.stdout + finished.stderr
        return finished.stdout, finished.stderr

    @contextmanager
    def serving(self) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """A server and the first line that it prints; stopped in the end."""
        with subprocess.Popen(
            [sys.executable, "-m", "service", "serve"],
            cwd=REPOSITORY,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                yield process.stdout.readline().strip(), process
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0


def shop(folder: Path, store: Path) -> Shop:
    known = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "HOST")}
    own = {"MODEL_STORE": str(store), "CACHE_FOLDER": str(folder / "cache"), "FILL_FOLDER": str(folder / "fills")}
    return Shop({**known, **own, "PORT": "0", "DEVICE": "cpu", "COLUMNS": "200"})


@pytest.fixture
def tiny_shop(tmp_path: Path, tiny_store: Path) -> Shop:
    return shop(tmp_path, tiny_store)


def test_a_server_is_ready_scores_and_sees_what_a_fill_beside_it_wrote(tiny_shop: Shop, tmp_path: Path) -> None:
    candidates = write_candidates(tmp_path / "candidates.tsv", 6, 10)
    report = tmp_path / "reports" / "us.json"
    with tiny_shop.serving() as (line, _):
        word, address, *rest = line.split()
        assert (word, rest) == ("ready:", ["(model", "version", "1)"])
        before = httpx.get(f"{address}/cache/us", params={"query": "query 1"}).json()
        assert before["status"] == "never_scored"
        tiny_shop.run("fill", str(candidates), "--marketplace", "us", "--report", str(report))
        content = json.loads(report.read_text(encoding="utf-8"))
        after = [httpx.get(f"{address}/cache/us", params={"query": f"query {n}"}).json() for n in range(6)]
        assert sum(len(answer["products"]) for answer in after) == content["counts"]["cached"] > 0
        assert {answer["generation"] for answer in after} == {content["generation"]}
        pair = {"marketplace": "us", "query": "new query", "product": {"id": "p1", "title": "usb cable"}}
        scored = httpx.post(f"{address}/score", json={"pairs": [pair], "write_cache": True}).json()
        assert 0 <= scored["results"][0]["score"] <= 1
        known = httpx.get(f"{address}/cache/us", params={"query": "NEW query"}).json()
        assert known["status"] == ("relevant" if scored["results"][0]["cached"] else "nothing_relevant")
    output, _ = tiny_shop.run("lookup", "query 1", "--marketplace", "us", "--json")
    assert json.loads(output)["products"] == after[1]["products"]


def test_a_server_without_a_model_says_so_and_lives(tmp_path: Path) -> None:
    with shop(tmp_path, tmp_path / "empty").serving() as (line, process):
        assert line.startswith("not ready: ")
        assert process.poll() is None


def test_scores_are_printed_as_lines_and_as_json(tiny_shop: Shop) -> None:
    arguments = ("score", "usb cable", "red usb cable", "sofa", "--marketplace", "us")
    lines = tiny_shop.run(*arguments)[0].splitlines()
    rows = json.loads(tiny_shop.run(*arguments, "--json")[0])["results"]
    assert [line.split("\t")[2] for line in lines] == [row["title"] for row in rows] == ["red usb cable", "sofa"]
    assert [line.split("\t")[0] for line in lines] == [f"{row['score']:.4f}" for row in rows]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("score", "usb", "title", "--marketplace", "xx"), 2, "marketplace.*us, es, jp"),
        (("score", "usb", " ", "--marketplace", "us"), 2, r"titles\[0\]"),
        (("lookup", "usb", "--marketplace", "../us"), 2, "marketplace"),
        (("fill", "nowhere.tsv", "--marketplace", "us"), 2, "nowhere.tsv"),
        (("rollback", "--marketplace", "us"), 2, "'us' has no earlier generation"),
    ],
)
def test_bad_input_ends_with_its_exit_code_and_what_is_wrong(
    tiny_shop: Shop, arguments: tuple[str, ...], code: int, message: str
) -> None:
    _, errors = tiny_shop.run(*arguments, expect=code)
    assert re.search(message, errors), errors


def test_a_marketplace_without_threshold_is_not_filled(tiny_shop: Shop, tmp_path: Path) -> None:
    candidates = write_candidates(tmp_path / "candidates.tsv", 2, 2)
    _, errors = tiny_shop.run("fill", str(candidates), "--marketplace", "jp", expect=3)
    assert "no threshold for 'jp'" in errors
    assert (
        json.loads(tiny_shop.run("lookup", "query 1", "--marketplace", "jp", "--json")[0])["generation"] is None
    )


def test_a_port_that_is_taken_is_said(tiny_shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _, errors = tiny_shop.run("serve", "--port", str(taken.getsockname()[1]), expect=3)
    assert "cannot listen on 127.0.0.1" in errors
