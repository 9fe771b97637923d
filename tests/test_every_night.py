"""The commands of docs/guides/every_night.md, as whoever sets them up runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "guides" / "every_night.md").read_text(encoding="utf-8")
TRAIN, FILL, NIGHTLY = re.findall(r"<!-- tested: [^\n]*-->\n```sh\n(.*?)```", DOCUMENT, re.DOTALL)

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def run(folder: Path, commands: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    known = {name: value for name, value in os.environ.items() if name != "MODEL_STORE"}
    environment = {**known, "PATH": path, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200", **more}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=1500,
    )


def report(folder: Path, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "var" / name).read_text(encoding="utf-8"))
    return found


def test_train_publish_fill_flip(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    trained = run(tmp_path, TRAIN)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "version 3 is whole" in trained.stdout or "version 2 is whole" in trained.stdout
    filled = run(tmp_path, FILL)
    assert filled.returncode == 0, filled.stdout + filled.stderr
    dry, flipped = report(tmp_path, "dry-es.json"), report(tmp_path, "fill-es.json")
    assert (dry["flipped"], flipped["flipped"]) == (False, True)
    assert dry["generation"] == flipped["generation"]
    nightly = run(tmp_path, NIGHTLY)
    assert nightly.returncode == 0, nightly.stderr + (tmp_path / "var" / "fill.log").read_text(encoding="utf-8")
    assert report(tmp_path, "fill-es.json")["previous_generation"] == flipped["generation"]
    assert report(tmp_path, "fill-us.json")["flipped"]
    failed = run(tmp_path, NIGHTLY, MARKETPLACES="xx", PAUSE="0")
    assert (failed.returncode, failed.stderr) == (1, "fill of xx ended with exit code 2; see var/fill.log\n")
