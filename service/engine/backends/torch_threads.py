"""How many threads torch computes with, beside a runtime that has threads of its own.

After an operator torch's workers spin for a while, ready for the next one. Beside ONNX Runtime's they take the
cores from each other: a single pair then took up to twice as long (measured: docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

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
