from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from model_store.errors import CacheUnavailableError, ConfigurationError
from service.cache.embedded import EmbeddedValkey
from service.cache.opening import opened_cache
from service.settings import ServiceSettings
from tests.support.service.running import settings_for

pytestmark = pytest.mark.anyio


def settings(folder: Path, **changes: object) -> ServiceSettings:
    return settings_for(folder / "store", folder / "opened", **changes)


def is_left_running(folder: Path) -> bool:
    """Whether there is a server in the cache folder without anybody to use it."""
    server = EmbeddedValkey(folder / "opened" / "cache")
    found = not server.started_here
    server.leave()
    return found


async def test_without_a_url_an_embedded_server_runs_while_the_cache_is_open(tmp_path: Path) -> None:
    async with opened_cache(settings(tmp_path, cache_products_per_query=7)) as cache:
        assert cache.cap == 7
        await cache.connection.put("a", "1")
    assert not is_left_running(tmp_path)
    async with opened_cache(settings(tmp_path)) as cache:
        assert await cache.connection.get("a") == "1"


async def test_a_url_is_used_instead(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    async with opened_cache(settings(tmp_path, redis_url=valkey.url)) as cache:
        await cache.connection.put("a", "1")
    assert not (tmp_path / "opened").exists()
    async with opened_cache(settings(tmp_path, redis_url=valkey.url)) as cache:
        assert await cache.connection.get("a") == "1"


async def test_a_named_server_need_not_be_up(tmp_path: Path) -> None:
    async with opened_cache(settings(tmp_path, redis_url="redis://127.0.0.1:1")) as cache:
        with pytest.raises(CacheUnavailableError, match="did not answer"):
            await cache.connection.ping()


async def test_a_wrong_url_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        async with opened_cache(settings(tmp_path, redis_url="localhost")):
            pass


async def test_a_command_that_is_stopped_while_it_opens_the_cache_leaves_no_server(tmp_path: Path) -> None:
    async def use() -> None:
        async with opened_cache(settings(tmp_path)) as cache:
            await cache.connection.ping()

    using = asyncio.create_task(use())
    while not (tmp_path / "opened" / "cache" / "change.lock").exists():
        await asyncio.sleep(0)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert not is_left_running(tmp_path)
