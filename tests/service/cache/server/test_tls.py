"""TLS with an authority of its own, client certificates and users (ACL), against a real Redis."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from redis import Redis

from model_store.errors import CacheUnavailableError, ConfigurationError
from service.cache import AsyncOfflineCache, OfflineCache
from service.cache.server.connection import CacheConnection
from service.cache.server.embedded import EmbeddedValkey
from service.cache.server.errors import CacheRefusedError
from service.cache.store import CacheStore, QueryScores
from service.fill.retry import RetryPolicy
from tests.support.service.redis_servers import Certificates, answering, free_ports, required, running

pytestmark = pytest.mark.anyio

USERS = [
    "user default off",
    "user fill on >fill%secret ~rc1n1:* +@read +@write +@scripting +info +scan +ping +select",
    "user search on >search%secret ~rc1n1:* +@read +ping +select",
]


@dataclass(frozen=True)
class SecureServer:
    tls_port: int
    plain_port: int
    certificates: Certificates

    def url(self, access: str = "fill:fill%25secret", database: int = 0, **changes: str) -> str:
        """Of a client that has all that it needs; an option that is empty is left out."""
        options = {
            "ssl_ca_certs": str(self.certificates.file("ca.pem")),
            "ssl_certfile": str(self.certificates.file("client.pem")),
            "ssl_keyfile": str(self.certificates.file("client.key")),
            **changes,
        }
        query = "&".join(f"{name}={value}" for name, value in options.items() if value)
        return f"rediss://{access}@127.0.0.1:{self.tls_port}/{database}?{query}"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
    required("redis-server", "openssl")
    folder = tmp_path_factory.mktemp("secure")
    certificates = Certificates.made(folder / "certificates")
    plain, tls = free_ports(2)
    names = {"cert": "server.pem", "key": "server.key", "ca-cert": "ca.pem"}
    files = [f"tls-{name}-file {certificates.file(file)}" for name, file in names.items()]
    lines = [f"port {plain}", f"tls-port {tls}", "tls-auth-clients yes", 'save ""', *files, *USERS]
    with ExitStack() as stack:
        stack.enter_context(running("redis-server", folder / "server", lines))
        answering(plain, username="fill", password="fill%secret").close()
        yield SecureServer(tls, plain, certificates)


async def test_users_fill_and_read_over_tls(secure: SecureServer) -> None:
    connection = CacheConnection.open(secure.url())
    store = CacheStore(connection)
    generation = await store.generations.active_or_open("us", 1)
    await store.merge(generation, [QueryScores("tea", {"a": 0.9, "b": 0.8})])
    assert await store.purge_products("us", ["b"]) == 1
    assert await connection.used_memory() > 0
    await connection.close()
    reader = secure.url("search:search%25secret")
    with OfflineCache.from_url(reader) as client:
        assert [product.id for product in client.lookup("us", "tea").products] == ["a"]
        assert len(client.lookup_many("us", ["tea", "sofa"])) == 2
    async with AsyncOfflineCache.from_url(reader) as client:
        assert (await client.lookup("us", "tea")).products[0].id == "a"
    connection = CacheConnection.open(reader)
    with pytest.raises(CacheRefusedError, match="permissions"):
        await CacheStore(connection).purge_products("us", ["a"])
    await connection.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"access": "fill:wrong"},
        {"access": "nobody:fill%25secret"},
        {"access": "default:"},
        {"database": 99},
        {"ssl_ca_certs": ""},
        {"ssl_certfile": "", "ssl_keyfile": ""},
    ],
    ids=["password", "user", "default user", "database", "authority", "client certificate"],
)
async def test_what_waiting_cannot_heal_fails_at_once(secure: SecureServer, changes: dict[str, object]) -> None:
    url = secure.url(**changes)  # type: ignore[arg-type]
    said: list[str] = []
    connection = CacheConnection.open(url)
    started = time.monotonic()
    with pytest.raises(CacheRefusedError, match=r"lets nobody in.*REDIS_URL") as caught:
        await RetryPolicy(600, said.append).run(connection.ping)
    assert time.monotonic() - started < 30
    assert said == []
    assert "secret" not in str(caught.value)
    # The synchronous client may meet the end of the connection before the reason for it.
    with pytest.raises(CacheUnavailableError), OfflineCache.from_url(url) as client:
        client.lookup("us", "tea")
    await connection.close()


async def test_a_certificate_for_another_name_is_refused(secure: SecureServer) -> None:
    url = secure.url().replace("@127.0.0.1:", "@localhost:")
    with pytest.raises(CacheUnavailableError, match=r"(?i)certificate"), OfflineCache.from_url(url) as client:
        client.lookup("us", "tea")
    with OfflineCache.from_url(f"{url}&ssl_check_hostname=false") as client:
        assert client.lookup("jp", "tea").status == "never_scored"


@pytest.mark.parametrize("name", ["ca.pem", "client.pem", "client.key"])
def test_a_file_that_is_gone_or_another_is_told_before_anything_connects(secure: SecureServer, name: str) -> None:
    whole = str(secure.certificates.file(name))
    for other in (f"{whole}.gone", str(secure.certificates.file("names"))):
        with pytest.raises(ConfigurationError, match="setting REDIS_URL: "):
            CacheConnection.open(secure.url().replace(f"={whole}", f"={other}"))


async def test_a_server_that_is_away_is_waited_for(secure: SecureServer) -> None:
    (port,) = free_ports(1)
    connection = CacheConnection.open(secure.url().replace(str(secure.tls_port), str(port)))
    said: list[str] = []
    with pytest.raises(CacheUnavailableError) as caught:
        await RetryPolicy(0.5, said.append).run(connection.ping)
    assert not isinstance(caught.value, CacheRefusedError)
    assert len(said) == 1
    await connection.close()


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
