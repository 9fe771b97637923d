"""Where the cache's server is, and how it is spoken to: what a URL may say, checked before anything connects.

    redis://USER:PASSWORD@HOST:6379/0
    rediss://HOST:6380/0?ssl_ca_certs=ca.pem&ssl_certfile=client.pem&ssl_keyfile=client.key     TLS
    unix:///run/redis.sock?db=1
    redis+sentinel://USER:PASSWORD@HOST:26379,HOST:26379/MASTER/0?sentinel_password=...         Sentinel
    rediss+sentinel://...                                       Sentinel, with TLS to sentinels and servers

Special characters of a user or a password are written as in every URL: `%40` for `@`, `%2F` for `/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel

from model_store.errors import ConfigurationError
from service.cache.server.address_options import (
    NOT_OF_A_CLUSTER,
    OPTIONS,
    SENTINEL_OPTIONS,
    SHOWN,
    TLS_OPTIONS,
    WrongUrlError,
    checked_tls_options,
    database_number,
    query_options,
)

MASK = "********"
SETTING = "setting REDIS_URL"
"""What an error names, where the URL is the service's."""

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_PORT, _SENTINEL_PORT = 6379, 26379
_Client = TypeVar("_Client")


@dataclass(frozen=True)
class CacheAddress:
    """A checked address. `name` is the URL as it may be shown."""

    name: str
    cluster: bool
    options: Mapping[str, object] = field(repr=False)
    """Keyword arguments of redis-py's clients."""
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""
    sentinel_options: Mapping[str, object] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(
        cls, url: str, *, cluster: bool = False, timeout_seconds: float = 2.0, where: str = SETTING
    ) -> CacheAddress:
        """What a URL says.

        Args:
            cluster: the server is a node of a cluster.
            timeout_seconds: of connecting and of every answer, unless the URL says something else.
            where: what an error names.

        Raises:
            ConfigurationError: it is no URL of a server, or has an option that is unknown or wrong.
        """
        try:
            return _parsed(url, cluster, timeout_seconds)
        except WrongUrlError as error:
            raise ConfigurationError(f"{where}: {error}") from error

    def client(self) -> tuple[Redis | RedisCluster, list[Redis]]:
        """A client that connects when it is used (a cluster's: here), and clients to be closed with it."""
        retry = Retry(NoBackoff(), 1)
        if self.cluster:
            return RedisCluster(**self.options, retry=retry), []  # type: ignore[arg-type]
        if not self.sentinels:
            return Redis(**self.options, retry=retry), []  # type: ignore[arg-type]
        own = {**self.sentinel_options, "retry": Retry(NoBackoff(), 0)}
        options = {**self.options, "retry": retry, "sentinel_kwargs": own}
        sentinel = Sentinel(list(self.sentinels), **options)  # type: ignore[no-untyped-call]
        return sentinel.master_for(self.master), sentinel.sentinels  # type: ignore[no-untyped-call]

    def asynchronous_client(self) -> tuple[AsyncRedis | AsyncRedisCluster, list[AsyncRedis]]:
        """The same for asyncio; a cluster's client, too, connects when it is used."""
        retry = AsyncRetry(NoBackoff(), 1)
        if self.cluster:
            return AsyncRedisCluster(**self.options, retry=retry), []  # type: ignore[arg-type]
        if not self.sentinels:
            return AsyncRedis(**self.options, retry=retry), []  # type: ignore[arg-type]
        own = {**self.sentinel_options, "retry": AsyncRetry(NoBackoff(), 0)}
        sentinel = AsyncSentinel(  # type: ignore[no-untyped-call]
            list(self.sentinels), sentinel_kwargs=own, **self.options, retry=retry
        )
        return sentinel.master_for(self.master), sentinel.sentinels


def without_secrets(url: str) -> str:
    """The URL as it may be shown: of passwords and of what nobody knows there is a mask.

    Also for what is no URL at all, as somebody may have written a password there.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,20}", scheme):
        return MASK
    before, marker, query = rest.partition("?")
    if "@" in query or "#" in rest:
        # A question mark or a number sign in a password that is not written as in a URL.
        return f"{scheme}://{MASK}"
    credentials, at, place = before.rpartition("@")
    user, colon, _ = credentials.partition(":")
    access = f"{user if colon else ''}:{MASK}@" if at else ""
    return f"{scheme}://{access}{place}{marker}{'&'.join(map(_shown_option, query.split('&')))}"


def _shown_option(text: str) -> str:
    name, equals, _ = text.partition("=")
    if not text or (equals and name in SHOWN):
        return text
    return f"{name}={MASK}" if equals and re.fullmatch(r"\w{1,40}", name) else MASK


def _parsed(url: str, cluster: bool, timeout_seconds: float) -> CacheAddress:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise WrongUrlError(f"begins with none of {', '.join(f'{name}://' for name in _SCHEMES)}; use e.g. "
                          "redis://HOST:6379/0")  # fmt: skip
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise WrongUrlError(f"is no URL; write it as {scheme}://USER:PASSWORD@HOST:PORT/0") from error
    if parts.fragment:
        raise WrongUrlError("has a number sign; write one in a password as %23")
    tls, with_sentinels = scheme.startswith("rediss"), scheme.endswith("+sentinel")
    known = {**OPTIONS, **(TLS_OPTIONS if tls else {}), **(SENTINEL_OPTIONS if with_sentinels else {})}
    options: dict[str, object] = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
    options |= query_options(parts.query, known, scheme)
    credentials, at, hosts = parts.netloc.rpartition("@")
    if at:
        user, _, password = credentials.partition(":")
        options |= {name: unquote(text) for name, text in (("username", user), ("password", password)) if text}
    if tls:
        options |= {"ssl": True, **checked_tls_options(options)}
    path = unquote(parts.path)
    name = without_secrets(url)
    if with_sentinels:
        return _with_sentinels(name, cluster, options, hosts, path)
    if scheme == "unix":
        if hosts or not path:
            raise WrongUrlError("names no socket; write it as unix:///PATH")
        options |= {"path" if cluster else "unix_socket_path": path}
    else:
        host, port = _host_and_port(hosts or "localhost", _PORT)
        options |= {"host": host, "port": port, **_database_of(path.strip("/"), options)}
    if cluster:
        _check_cluster(scheme, options)
    return CacheAddress(name, cluster, options)


def _database_of(path: str, options: Mapping[str, object]) -> dict[str, object]:
    if not path:
        return {}
    try:
        number = database_number(path)
    except WrongUrlError as error:
        raise WrongUrlError(
            "names no database: after the host comes its number, as in redis://HOST:6379/0"
        ) from error
    if options.get("db", number) != number:
        raise WrongUrlError("names two databases")
    return {"db": number}


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^:\[\]@/\s]+)(?::([0-9]{1,5}))?", text)
    port = int(match[2]) if match and match[2] else default
    if match is None or not 0 < port <= 65535:
        raise WrongUrlError(
            "has no HOST:PORT after the password; write special characters of a password as %2F, %3F, %23, %40"
        )
    return unquote(match[1]).strip("[]"), port


def _with_sentinels(name: str, cluster: bool, options: dict[str, object], hosts: str, path: str) -> CacheAddress:
    if cluster:
        raise WrongUrlError("names sentinels, and REDIS_CLUSTER is true; a cluster has none")
    master, _, database = path.strip("/").partition("/")
    if not hosts or not master:
        raise WrongUrlError("is written redis+sentinel://HOST:26379,HOST:26379/MASTER/0")
    own = {key: options.pop(f"sentinel_{key}", None) for key in ("username", "password")}
    shared = {key: value for key, value in options.items() if key.startswith(("ssl", "socket_"))}
    return CacheAddress(
        name,
        False,
        {**options, **_database_of(database, options)},
        tuple(_host_and_port(host.strip(), _SENTINEL_PORT) for host in hosts.split(",")),
        master,
        {**shared, **{key: value for key, value in own.items() if value}},
    )


def _check_cluster(scheme: str, options: Mapping[str, object]) -> None:
    if scheme == "unix":
        raise WrongUrlError("names a socket, and REDIS_CLUSTER is true; a cluster is reached by HOST:PORT")
    if options.get("db", 0) != 0:
        raise WrongUrlError("names a database, and REDIS_CLUSTER is true; a cluster has only database 0")
    wrong = sorted(NOT_OF_A_CLUSTER & options.keys())
    if wrong:
        raise WrongUrlError(f"has {wrong[0]}, which redis-py does not take for a cluster")
