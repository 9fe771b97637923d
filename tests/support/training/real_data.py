"""Where the tests find real data that is not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY

_BESIDE_THE_REPOSITORY = REPOSITORY / ".." / "shared" / "data"


def real_data(part: str) -> Path:
    """The path of `part` in the folder that RELEVANCE_DATA names; the test is skipped where it is missing."""
    folder = os.environ.get("RELEVANCE_DATA")
    path = (Path(folder) if folder else _BESIDE_THE_REPOSITORY) / part
    if not path.exists():
        pytest.skip(f"no {part}: set RELEVANCE_DATA to a folder that has it")
    return path
