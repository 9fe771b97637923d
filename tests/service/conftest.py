from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.cache.server.connection import CacheConnection
from service.cache.server.embedded import EmbeddedValkey
from service.cache.store import CacheStore
from service.engine.scorer import Scorer
from service.fill.target import FillTarget
from tests.support.service.running import RunningService, exact_scorer, running_service, settings_for
from tests.support.tiny_model import build_tiny_store


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_store(tmp_path_factory.mktemp("service"), ("us", "es", "jp"))


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "cache")
    yield server
    server.leave()


@pytest.fixture
async def cache(valkey: EmbeddedValkey) -> AsyncIterator[CacheStore]:
    connection = CacheConnection.open(valkey.url)
    yield CacheStore(connection)
    await connection.close()


@pytest.fixture
async def service(tiny_store: Path, tmp_path: Path) -> AsyncIterator[RunningService]:
    settings = settings_for(tiny_store, tmp_path, max_pairs=50, max_body_bytes=200_000, max_text_characters=1000)
    async with running_service(settings) as running:
        yield running


@pytest.fixture(scope="session")
def scorer(tiny_store: Path) -> Scorer:
    return exact_scorer(tiny_store)


@pytest.fixture
def target(scorer: Scorer, cache: CacheStore, tiny_store: Path, tmp_path: Path) -> FillTarget:
    settings = settings_for(tiny_store, tmp_path, fill_folder=tmp_path / "fills", fill_chunk_pairs=64)
    return FillTarget("us", scorer, cache, settings)
