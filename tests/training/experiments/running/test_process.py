from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from model_store.errors import ConfigurationError
from tests.support import REPOSITORY
from training.experiments.running.machine import commit, hardware, library_versions, peak_memory_bytes
from training.experiments.running.process import exit_description, start_process


def say(path: Path) -> None:
    import torch

    print(f"threads: {torch.get_num_threads()}")
    path.write_text(str(os.getpid()), encoding="utf-8")


def refuse(_: Path) -> None:
    raise ConfigurationError("no such thing")


def break_down(_: Path) -> None:
    raise ValueError("out of luck")


def kill_itself(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_ever(pipe: Path) -> None:
    pipe.write_text(str(os.getpid()), encoding="utf-8")
    signal.pause()


def start_and_wait(pipe: Path, log: Path) -> None:
    """What `test_a_process_ends_with_its_parent` runs as the parent."""
    start_process(wait_for_ever, (pipe,), log, 1).join()


def test_work_is_done_in_another_process_and_printed_to_its_log(tmp_path: Path) -> None:
    process = start_process(say, (tmp_path / "out",), tmp_path / "logs" / "log.txt", 1)
    process.join()
    assert process.exitcode == 0
    assert int((tmp_path / "out").read_text()) != os.getpid()
    assert (tmp_path / "logs" / "log.txt").read_text() == "threads: 1\n"


@pytest.mark.parametrize(
    ("work", "code", "told"),
    [
        (refuse, ConfigurationError.exit_code, "error: no such thing"),
        (break_down, 1, "ValueError: out of luck"),
    ],
)
def test_an_error_is_an_exit_code_and_a_line_of_the_log(
    tmp_path: Path, work: object, code: int, told: str
) -> None:
    process = start_process(work, (tmp_path,), tmp_path / "log.txt", 1)  # type: ignore[arg-type]
    process.join()
    assert process.exitcode == code
    assert (tmp_path / "log.txt").read_text().splitlines()[-1] == told


def test_a_crash_is_told_by_its_signal(tmp_path: Path) -> None:
    process = start_process(kill_itself, (tmp_path,), tmp_path / "log.txt", 1)
    process.join()
    assert process.exitcode is not None
    assert "SIGKILL" in exit_description(process.exitcode)
    assert exit_description(3) == "exit code 3"


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waiting for another's child needs Linux's pidfd")
def test_a_process_ends_with_its_parent(tmp_path: Path) -> None:
    arguments = (tmp_path / "pid", tmp_path / "log.txt")
    os.mkfifo(arguments[0])
    program = (
        "from pathlib import Path\n"
        "from tests.training.experiments.running.test_process import start_and_wait\n"
        f"start_and_wait(Path({str(arguments[0])!r}), Path({str(arguments[1])!r}))\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(
        f"if __name__ == '__main__':\n    {program.replace(chr(10), chr(10) + '    ')}", encoding="utf-8"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, str(script)], env=environment) as parent:
        child = os.pidfd_open(int(arguments[0].read_text()))
        parent.kill()
    ended, _, _ = select.select([child], [], [], 120)
    os.close(child)
    assert ended


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
