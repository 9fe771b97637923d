from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support import REPOSITORY


@pytest.mark.parametrize(("rank", "first"), [("", True), ("0", True), ("1", False)])
def test_an_empty_rank_is_that_of_a_process_alone(rank: str, first: bool) -> None:
    """It is read when the module is loaded: a process of its own."""
    command = [
        sys.executable,
        "-c",
        "from training.settings import IS_FIRST_PROCESS as first; print(first)",
    ]
    environment = {**os.environ, "RANK": rank, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == str(first)
