from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from model_store.product import Product, QueryProductPair
from service.engine.backends import machine as module
from service.engine.backends.machine import ALL_THREADS, machine_key, processor_name, torch_threads
from service.engine.backends.onnx_network import OnnxNetwork
from service.engine.options import EngineOptions
from service.engine.versions.loading import in_own_thread, load_scorer

X86 = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU variant\t: 0x1\nCPU part\t: 0xd40\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (X86, "AMD EPYC (cpu family 25, model 17)"),
        (ARM, "aarch64 (CPU implementer 0x41, CPU variant 0x1, CPU part 0xd40)"),
    ],
)
def test_processors_are_told_apart_also_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, expected: str
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(content)
    monkeypatch.setattr(module, "_CPUINFO", path)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert processor_name() == expected


def test_without_such_a_file_there_is_still_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CPUINFO", tmp_path / "none")
    assert processor_name()


def test_threads_and_packages_belong_to_it() -> None:
    assert f"{torch.get_num_threads()} threads, torch {torch.__version__}" in machine_key()


PAIRS = [QueryProductPair("us", "usb cable", Product("1", "USB cable 2 m"))]


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    torch.set_num_threads(ALL_THREADS)


def test_it_is_as_before_afterwards_also_after_an_error() -> None:
    torch.set_num_threads(2)
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    with pytest.raises(ValueError, match="failed"), torch_threads(3):
        raise ValueError("failed")
    assert torch.get_num_threads() == 2


def test_beside_onnx_runtime_torch_has_one_thread(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = load_scorer(tiny_store, options=EngineOptions("cpu", "onnxruntime", "float32", 512))
    seen: list[int] = []
    original = OnnxNetwork.embed

    def noted(self: OnnxNetwork, *args: Any) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return original(self, *args)

    def scored() -> int:
        torch.set_num_threads(2)
        scorer.score(PAIRS)
        return torch.get_num_threads()

    monkeypatch.setattr(OnnxNetwork, "embed", noted)
    assert in_own_thread(scored) == 2
    assert set(seen) == {1}
