"""Fixtures that several packages' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# The networks of most tests are so small that two threads wait for each other longer than they compute, beside
# other work many times as long. Read when torch is loaded, and handed on to the commands that tests run.
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS") or "1"

from tests.support.models.tiny_encoder import write_tiny_encoder

_LONGEST = (
    "tests/test_readme.py",
    "tests/service/api/routes/test_jobs.py",
    "tests/integration/",
    "tests/service/fill/test_crashes.py",
    "tests/service/test_cli.py",
    "tests/training/experiments/",
    "tests/training/methods/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first: of several processes none is left alone with one at the end."""

    def place(item: pytest.Item) -> int:
        return next((n for n, start in enumerate(_LONGEST) if item.nodeid.startswith(start)), len(_LONGEST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def tiny_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")
