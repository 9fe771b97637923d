"""Where the tests find real data that is not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"


def real_data(name: str) -> Path:
    path = Path(os.environ.get("RELEVANCE_SHARED_DATA", _BESIDE_THE_REPOSITORY)) / name
    if not path.exists():
        pytest.skip(f"no {name}: set RELEVANCE_SHARED_DATA to a folder that has it")
    return path
