from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.cache.server.connection import CacheConnection
from service.cache.server.embedded import EmbeddedValkey
from service.cache.store import CacheStore
from tests.support.models.tiny_model import build_tiny_store


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
