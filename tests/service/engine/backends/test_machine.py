from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from service.engine.backends import machine as module
from service.engine.backends.machine import machine_key, processor_name

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
