"""What a measurement of this machine's speed belongs to, and how many threads torch computes with.

After an operator torch's workers spin for a while, ready for the next one. Beside ONNX Runtime's threads they
take the cores from each other: a single pair then took up to twice as long (measured: docs/log.md).
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch

_CPUINFO = Path("/proc/cpuinfo")
_NUMBERS = ("cpu family", "model", "CPU implementer", "CPU variant", "CPU part")
"""Names are no more than `AMD EPYC` on many virtual machines, and missing on ARM."""
_PACKAGES = ("torch", "onnxruntime")


def processor_name() -> str:
    """The processor's name, and the numbers of its kind, where Linux gives them."""
    lines = _CPUINFO.read_text(encoding="utf-8").splitlines() if _CPUINFO.is_file() else []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = fields.get("model name") or platform.processor() or platform.machine()
    numbers = ", ".join(f"{number} {fields[number]}" for number in _NUMBERS if number in fields)
    return f"{name} ({numbers})" if numbers else name


def machine_key() -> str:
    """Processor and the instructions that torch uses of it, cores, torch's threads, versions of what computes."""
    packages = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES if find_spec(name) is not None]
    capability = torch.backends.cpu.get_cpu_capability()
    threads = f"{torch.get_num_threads()} threads"
    return ", ".join([f"{processor_name()} x{os.cpu_count()}", capability, threads, *packages])


ALL_THREADS = torch.get_num_threads()
"""What torch was started with. A new thread begins with what another has set last, so this is kept."""


def threads_beside(backend: str) -> int:
    """Torch's threads with what a backend computes: beside ONNX Runtime torch has embeddings and heads alone."""
    return 1 if backend == "onnxruntime" else ALL_THREADS


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """While it lasts, what the calling thread computes with torch is shared out among so many threads."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
