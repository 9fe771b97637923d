"""One training split over two processes gives what one process gives, and publishes once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_store.versions.store import ModelStore
from tests.support.commands import run, small_settings
from tests.support.repository import REPOSITORY

pytestmark = pytest.mark.long


def test_two_processes_train_as_one_and_publish_once(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    command = [
        "continual", "--data", "catalogue:200", "--sequence", "us,es", "--translation", "catalogue",
        *small_settings(tiny_encoder_folder, checkpoint_seconds="0", precision="float32"),
    ]  # fmt: skip
    run("training", *command, store=tmp_path / "one")
    finished = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "training", *command],
        cwd=REPOSITORY,
        env={**os.environ, "MODEL_STORE": str(tmp_path / "two"), "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    one, two = (ModelStore(tmp_path / name) for name in ("one", "two"))
    assert two.numbers() == [1, 2]
    for expected, found in zip(one.manifest(2).test_matrix, two.manifest(2).test_matrix, strict=True):
        assert found == pytest.approx(expected, abs=0.01)
    assert finished.stderr.count("learnt us") == 1
