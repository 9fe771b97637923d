from __future__ import annotations

from pathlib import Path

import pytest

from service.cache.store import CacheStore
from service.engine.scorer import Scorer
from service.fill.target import FillTarget
from tests.support.service.running import exact_scorer, settings_for


@pytest.fixture(scope="session")
def scorer(tiny_store: Path) -> Scorer:
    return exact_scorer(tiny_store)


@pytest.fixture
def target(scorer: Scorer, cache: CacheStore, tiny_store: Path, tmp_path: Path) -> FillTarget:
    settings = settings_for(tiny_store, tmp_path, fill_folder=tmp_path / "fills", fill_chunk_pairs=64)
    return FillTarget("us", scorer, cache, settings)
