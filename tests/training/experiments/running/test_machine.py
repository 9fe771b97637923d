from __future__ import annotations

import re
from importlib.metadata import version

import numpy as np

from training.experiments.running.machine import commit, hardware, library_versions, peak_memory_bytes


def test_a_result_names_the_code_and_the_libraries_it_was_made_with() -> None:
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit()) or commit() == version("continual-relevance")
    assert library_versions()["torch"] == version("torch")


def test_hardware_names_cores_and_threads() -> None:
    assert re.search(r"[0-9]+ cores, 3 threads", hardware(3))


def test_peak_memory_grows_with_what_is_held() -> None:
    before = peak_memory_bytes()
    held = np.ones(max(before, 200_000_000) // 8 + 50_000_000)
    assert peak_memory_bytes() >= before + 200_000_000
    assert held[0] == 1
