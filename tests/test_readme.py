"""The README's commands, as a reader runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
# The commands on one's own data train three versions: minutes.
pytestmark = pytest.mark.timeout(600)
TESTED = re.findall(r"<!-- tested: [^\n]*-->\n```sh\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader stands: the examples are there, nothing else is."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(REPOSITORY / "examples", folder / "examples")
    return folder


@pytest.fixture(scope="module")
def own_data(folder: Path) -> str:
    """Output of the commands on one's own data."""
    finished = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", TESTED[0]],
        cwd=folder,
        env=_environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def _environment(**more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    known = {name: value for name, value in os.environ.items() if name != "MODEL_STORE"}
    return {**known, "PATH": path, "COLUMNS": "200", **more}


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"^    make ([\w-]+)$", README, re.MULTILINE)
    assert commands == ["demo", "test"]
    for command in commands:
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)


def test_every_file_that_is_linked_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)", README)
    assert links
    for link in links:
        assert link.startswith("http") or (REPOSITORY / link).exists(), link


def test_every_section_that_is_linked_exists() -> None:
    sections = re.findall(r"\]\(([^)#]+)#([^)]+)\)", README)
    assert sections
    for page, anchor in sections:
        headings = re.findall(r"^#+ (.*)$", (REPOSITORY / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in [re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_a_newcomer_reads_it_in_two_minutes() -> None:
    assert len(README.splitlines()) <= 150


def test_own_data_is_learnt_published_scored_and_cached(own_data: str, folder: Path) -> None:
    # `evaluate` prints a row with an interval for every marketplace of the newest version.
    assert len(re.findall(r"│ *(?:us|es|de) *│.*0\.\d{4} - [01]\.\d{4}", own_data)) >= 2
    versions = sorted(path.name for path in (folder / "var/model-store/versions").iterdir() if path.is_dir())
    assert versions == ["0001", "0002", "0003"]
    candidates = (folder / "examples/candidates.tsv").read_text(encoding="utf-8").splitlines()
    assert len((folder / "var/scores.tsv").read_text(encoding="utf-8").splitlines()) == len(candidates)
    assert re.search(r"0\.\d{4}\tes-P\d+|nothing relevant", own_data.splitlines()[-1])


@pytest.fixture
def port(own_data: str, folder: Path) -> Iterator[int]:
    """A service on what was published; ends as it should."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve"],
        cwd=folder,
        env=_environment(PORT=str(free), MODEL_STORE="var/model-store"),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready: "), line
        yield free
        process.terminate()
        assert process.wait(30) in (0, 130)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README asks with curl, which is not installed")
def test_the_service_answers_what_is_asked_with_curl(port: int) -> None:
    commands = TESTED[1].replace("8080", str(port)).replace("curl -s", "echo; curl -s")
    output = subprocess.run(["bash", "-ec", commands], check=True, capture_output=True, text=True).stdout
    scored, cached = (json.loads(line) for line in output.splitlines() if line)
    assert scored["model_version"] in (2, 3)  # the third may be kept back by the promotion rule
    assert 0 <= scored["results"][0]["score"] <= 1
    assert cached["status"] in ("relevant", "nothing_relevant")
