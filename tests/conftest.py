"""Fixtures that several packages' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# The networks of most tests are so small that two threads wait for each other longer than they compute, beside
# other work many times as long. Read when torch is loaded, and handed on to the commands that tests run.
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS") or "1"

from tests.support.tiny_encoder import write_tiny_encoder


@pytest.fixture(scope="session")
def tiny_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")
