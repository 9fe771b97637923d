"""The demo on a small catalogue and a tiny encoder: every part of it runs, and the report tells what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY
from tests.support.in_process import small_settings


def demo(encoder: Path, folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.demo", "--data", "catalogue:300", "--sequence", "us,es",
         "--folder", str(folder), *small_settings(encoder, checkpoint_seconds="0"), *options],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


# Half a minute where nothing else runs, several beside other work.
@pytest.mark.timeout(600)
def test_the_demo_is_interrupted_resumes_trains_serves_fills_and_reports(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    interrupted = demo(tiny_encoder_folder, tmp_path)
    assert interrupted.stderr is not None
    before = []
    for line in interrupted.stderr:
        before.append(line)
        if line.startswith("version 1"):
            interrupted.send_signal(signal.SIGINT)
            break
    _, rest = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert rest.endswith("interrupted; the same command resumes training where it was\n")
    assert before[0].startswith("step 1 of 7: preparing data and encoder, ")

    resumed = demo(tiny_encoder_folder, tmp_path, "--baseline")
    output, errors = resumed.communicate(timeout=500)
    assert resumed.returncode == 0, output + errors
    assert "version 1 " not in errors
    steps = [line for line in errors.splitlines() if line.startswith("step ")]
    assert all(line.endswith(" left for all") for line in steps)
    assert "step 5 of 8: starting the service" in errors

    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [set(row) for row in report["continual"]] == [{"us", "es"}] * 2
    assert [set(row) for row in report["baseline"]["test_matrix"]] == [{"us", "es"}] * 2
    assert not report["baseline_is_kept"]
    assert set(report["untrained_cosine"]) == {"us", "es"}
    assert [entry["name"] for entry in report["marketplaces"]] == ["us", "es"]
    assert [(entry["marketplace"], entry["number"]) for entry in report["publications"]] == [("us", 1), ("es", 2)]
    assert 0 < report["publications"][0]["seconds"] < report["publications"][1]["seconds"]
    assert {row["language"] for row in report["plain_probes"].values()} == {"en", "es"}
    served = {"us", "es"} if report["served_version"] == 2 else {"us"}
    assert {row["marketplace"] for row in report["scored"]} == served
    cached = [entry["name"] for entry in report["marketplaces"] if entry["threshold"] and entry["name"] in served]
    assert [fill["marketplace"] for fill in report["fills"]] == cached
    for name in cached:
        answers = {row["status"] for row in report["cached"] if row["marketplace"] == name}
        assert answers <= {"relevant", "nothing_relevant", "never_scored"}
        assert "never_scored" in answers
    for heading in (
        "What was learnt",
        "Everyday queries",
        "thresholds",
        "cache answers",
        "Where everything lies",
    ):
        assert heading in output

    serve, score, browse = output.splitlines()[-3:]
    assert f"CACHE_FOLDER={tmp_path / 'cache'} .venv/bin/python -m service serve" in serve
    assert '"query": "usb cable"' in score
    assert browse.endswith("http://127.0.0.1:8080/")
