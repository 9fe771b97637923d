"""What a measurement was made on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path

import torch

_LIBRARIES = ("torch", "transformers", "adapters")


def machine() -> dict[str, object]:
    """Processor, cores, versions and commit."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "commit": _commit(),
    }


def matrix_rate(dtype: torch.dtype, size: int = 1024, seconds: float = 1.0) -> float:
    """The best rate of a square matrix product seen in `seconds`, in floating point operations a second."""
    left, right = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str | None:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - git by its name
        cwd=Path(__file__).parent,
        check=False,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip() or None
