"""Command lines, run in this process (torch takes seconds to import) or in one of their own, and small disks."""

from __future__ import annotations

import csv
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from model_store.cli import run as run_application
from tests.support import REPOSITORY
from training.data.pairs import RelevancePair


def run_in_process(
    app: typer.Typer,
    arguments: Sequence[str],
    settings: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `python -m ...` with these arguments and settings."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    capsys.readouterr()
    handlers = logging.root.handlers[:]
    with pytest.raises(SystemExit) as exit_:
        run_application(app)
    logging.root.handlers[:] = handlers  # the command's own write to a stream that ends with this test
    captured = capsys.readouterr()
    return int(exit_.value.code or 0), captured.out, captured.err


HEADER = ("marketplace", "query", "product_id", "product_title", "label")

SMALL = (
    "adapter.bottleneck=8",
    "adapter_stage={epochs: 2, batch_size: 16, learning_rate: 0.005}",
    "fusion_stage={epochs: 2, batch_size: 16, learning_rate: 0.005, tolerance: 0.05}",
    "finetuning_stage={epochs: 1, batch_size: 16, learning_rate: 0.001}",
)


def write_table(path: Path, pairs: Sequence[RelevancePair]) -> Path:
    """Write pairs as a TSV that needs no column mapping."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows((p.marketplace, p.query, p.product_id, p.product_title, p.label) for p in pairs)
    return path


def small_settings(encoder: Path, **changes: str) -> list[str]:
    """`--set` options for a run of seconds on the tiny encoder."""
    settings = [f"base_encoder=folder:{encoder}", *SMALL, *(f"{key}={value}" for key, value in changes.items())]
    return [part for setting in settings for part in ("--set", setting)]


def start(module: str, *arguments: str, store: Path) -> subprocess.Popen[str]:
    """Start `python -m MODULE ARGUMENTS` with warnings as errors of our own code only."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "MODEL_STORE": str(store), "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(module: str, *arguments: str, store: Path, expect: int = 0) -> tuple[str, str]:
    """Run to the end and return standard output and error; the exit code must be the expected one."""
    process = start(module, *arguments, store=store)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == expect, f"{process.returncode}: {output}{errors}"
    return output, errors


def mounted_disk(size: str, *, full: bool) -> Path:
    """A small file system of its own; skips the test where none can be mounted."""
    # Not in the test's folder: what a killed test leaves mounted there would be in the way of the next one.
    disk = Path(tempfile.mkdtemp(prefix="small-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        disk.rmdir()
        pytest.skip("no small file system can be mounted here")
    if full:
        with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(b"x" * 4096):
                pass
    return disk


def unmount(disk: Path) -> None:
    """End what `mounted_disk` gave."""
    subprocess.run(["umount", "-l", str(disk)], check=True)
    disk.rmdir()
