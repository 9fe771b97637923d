"""Users and passwords (ACL) in the URL, against a real server; its binary has no TLS."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
from redis import Redis

from model_store.errors import CacheUnavailableError
from service.cache import AsyncOfflineCache, OfflineCache
from service.cache.connection import CacheConnection
from service.cache.embedded import EmbeddedValkey
from service.cache.store import CacheStore, QueryScores

pytestmark = pytest.mark.anyio


@pytest.fixture
async def port(valkey: EmbeddedValkey) -> AsyncIterator[int]:
    """Of a server with one entry, where `search` may read and nobody may do anything without a password."""
    connection = CacheConnection.open(valkey.url)
    writer = CacheStore(connection)
    await writer.merge(await writer.generations.active_or_open("us", 1), [QueryScores("tea", {"a": 0.9})])
    await connection.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = int(free.getsockname()[1])
    with Redis.from_url(valkey.url) as admin:
        admin.config_set("port", found)
        rights = {"keys": ["rc1n1:*"], "categories": ["+@read"]}
        admin.acl_setuser("search", enabled=True, passwords=["+a:secret"], **rights)
        admin.config_set("requirepass", "for the default user")
        yield found
        # Who shuts the server down has no password.
        admin.config_set("requirepass", "")


async def test_a_user_who_may_only_read_looks_up(port: int) -> None:
    url = f"redis://search:a%3Asecret@127.0.0.1:{port}/0"
    with OfflineCache.from_url(url) as client:
        assert client.lookup("us", "tea").products[0].id == "a"
        assert len(client.lookup_many("us", ["tea", "sofa"])) == 2
    async with AsyncOfflineCache.from_url(url) as client:
        assert (await client.lookup("us", "tea")).products[0].id == "a"


@pytest.mark.parametrize("user", ["", "search:wrong@", "nobody:a%3Asecret@"])
async def test_others_are_refused_and_no_password_is_told(port: int, user: str) -> None:
    with (
        pytest.raises(CacheUnavailableError, match=rf"127\.0\.0\.1:{port}.*(?i:auth|password)") as caught,
        OfflineCache.from_url(f"redis://{user}127.0.0.1:{port}/0") as client,
    ):
        client.lookup("us", "tea")
    assert "secret" not in str(caught.value)


async def test_who_may_only_read_cannot_write(port: int) -> None:
    connection = CacheConnection.open(f"redis://search:a%3Asecret@127.0.0.1:{port}/0")
    with pytest.raises(CacheUnavailableError, match="permissions"):
        await CacheStore(connection).purge_products("us", ["a"])
    await connection.close()
