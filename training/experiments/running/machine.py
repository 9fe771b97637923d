"""What a result was made with: commit, library versions, hardware, memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import torch

_PACKAGE = "continual-relevance"
_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "accelerate", "numpy", "scikit-learn")
_REPOSITORY = Path(__file__).resolve().parents[3]


def library_versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that compute."""
    versions = {name: importlib.metadata.version(name) for name in (_PACKAGE, *_LIBRARIES)}
    return {"python": platform.python_version(), **versions}


def commit() -> str:
    """The commit of the code, with `-dirty` where files differ from it; without git the package's version."""
    try:
        if _git("rev-parse", "--show-toplevel") != str(_REPOSITORY):
            return importlib.metadata.version(_PACKAGE)
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "training", "model_store")
        return _git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository: an installed package
        return importlib.metadata.version(_PACKAGE)


def hardware(threads: int) -> str:
    """Processor, cores and threads; and the GPU that a run uses."""
    text = f"{_processor()}, {os.cpu_count()} cores, {threads} threads"
    if not torch.cuda.is_available():
        return text
    return f"{torch.cuda.get_device_name()}; {text}"


def peak_memory_bytes() -> int:
    """The most main memory that this process had at once.

    On Linux it is the process's own: `ru_maxrss` would begin at the size of the process that started it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
