from __future__ import annotations

import os
import subprocess
import sys

import pytest

from service.engine.options import bound_onednn_caches

_GROWTH = """
from service.engine.options import bound_onednn_caches
if {bounded}:
    bound_onednn_caches()
import random, torch
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
random.seed(0)
weight = torch.randn(1536, 384)
packed, bias = torch.ops.mkldnn._reorder_linear_weight(weight, 512), torch.zeros(1536)
def compute(rows):
    torch.ops.mkldnn._linear_pointwise(torch.randn(rows, 384), packed, bias, "gelu", [], "none")
compute(900)
before = resident()
for rows in range(1, 900):
    compute(rows)
print(resident() - before)
"""


def growth(bounded: bool) -> float:
    """Megabytes that products of 900 shapes leave behind, in a process of its own."""
    command = [sys.executable, "-c", _GROWTH.format(bounded=bounded)]
    # What another test's service has bounded in this process is not handed on.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("CACHE_CAPACITY")}
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(run.stdout)


def test_what_is_kept_for_shapes_is_bounded() -> None:
    assert growth(bounded=True) < 0.6 * growth(bounded=False)


def test_what_the_user_sets_stays_and_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "")
    bound_onednn_caches()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "64"
