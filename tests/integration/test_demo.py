"""The demo on a small catalogue and a tiny encoder: every part of it runs, and the report tells what happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.commands import REPOSITORY, small_settings


# A minute where nothing else runs; ten times that beside other work, as two threads then wait for each other.
@pytest.mark.timeout(600)
def test_the_demo_trains_serves_fills_and_reports(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "scripts.demo", "--data", "catalogue:300", "--sequence", "us,es",
         "--folder", str(tmp_path), *small_settings(tiny_encoder_folder)],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "160"},
        check=False,
        capture_output=True,
        text=True,
        timeout=570,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [set(row) for row in report["continual"]] == [{"us", "es"}] * 2
    assert [set(row) for row in report["sequential_finetuning"]] == [{"us", "es"}] * 2
    assert set(report["untrained_cosine"]) == {"us", "es"}
    assert [entry["name"] for entry in report["marketplaces"]] == ["us", "es"]
    served = {"us", "es"} if report["served_version"] == 2 else {"us"}
    assert {row["marketplace"] for row in report["scored"]} == served
    cached = [entry["name"] for entry in report["marketplaces"] if entry["threshold"] and entry["name"] in served]
    assert [fill["marketplace"] for fill in report["fills"]] == cached
    for name in cached:
        answers = {row["status"] for row in report["cached"] if row["marketplace"] == name}
        assert answers <= {"relevant", "nothing_relevant", "never_scored"}
        assert "never_scored" in answers
    for heading in ("What was learnt", "thresholds", "offline cache answers", "Where everything lies", "next:"):
        assert heading in finished.stdout
