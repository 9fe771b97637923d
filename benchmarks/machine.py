"""What a measurement was made on; candidates timed in turn, so that a slow moment meets all of them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model_store.network.fast_products import onednn_problem
from service.engine.backends.machine import processor_name
from service.engine.folded.linear import FastLinear

_LIBRARIES = ("torch", "transformers", "adapters", "onnxruntime", "sentence-transformers", "infinity-emb")
_SIZE = 1024


def machine() -> dict[str, object]:
    """Processor, cores, versions and commit."""
    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _LIBRARIES},
        "commit": _commit(),
    }


def resident_megabytes(process: int) -> float:
    """Memory of a process that lies in RAM."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@torch.inference_mode()
def matrix_rates(device: torch.device) -> dict[str, float]:
    """Best rates of a 1024 (GPU: 8192) square product, in floating point operations a second, by library."""
    if device.type == "cuda":
        left = torch.randn(8192, 8192, dtype=torch.bfloat16, device=device)
        return {"torch.mm bf16": _rate(lambda: (left @ left)[0, 0].item(), 8192)}
    rates = {}
    for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = torch.randn(_SIZE, _SIZE, dtype=dtype), torch.randn(_SIZE, _SIZE)
        plain = right.to(dtype)
        rates[f"torch.mm {name}"] = _rate(lambda left=left, plain=plain: torch.mm(left, plain), _SIZE)  # type: ignore[misc]
        if onednn_problem(dtype):
            continue
        packed = FastLinear.of(right, None).to(dtype)
        packed.pack()
        rates[f"oneDNN {name}"] = _rate(lambda left=left, packed=packed: packed(left), _SIZE)  # type: ignore[misc]
    return rates


def _rate(product: Callable[[], object], size: int, seconds: float = 1.0) -> float:
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - git by its name
        cwd=Path(__file__).parent,
        check=False,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip() or None


def median_seconds(candidates: Mapping[str, Callable[[], object]], rounds: int, title: str) -> dict[str, float]:
    """Median seconds of a call of each candidate over `rounds` rounds, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        for number in progress.track(range(rounds + 1), description=title):
            for name, call in candidates.items():
                started = time.perf_counter()
                call()
                if number:
                    times[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in times.items()}
