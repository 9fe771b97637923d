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
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

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

MASK = "********"
SETTING = "setting REDIS_URL"
"""What an error names, where the URL is the service's."""

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_SECRETS = frozenset({"username", "password", "ssl_password", "sentinel_username", "sentinel_password"})
_PORT, _SENTINEL_PORT = 6379, 26379
_Client = TypeVar("_Client")


class _WrongError(ValueError):
    """Says what is wrong; never repeats what may be a secret."""


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
            raise _WrongError(f"is no number from {least} to {most}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise _WrongError("is no number of seconds above 0")
    return value


def _flag(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise _WrongError("is neither true nor false")
    return known[text.lower()]


def _file(text: str) -> str:
    path = _expanded(text)
    if not path.is_file():
        raise _WrongError(f"names no file: {path}")
    return str(path)


def _folder(text: str) -> str:
    path = _expanded(text)
    if not path.is_dir():
        raise _WrongError(f"names no folder: {path}")
    return str(path)


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise _WrongError("begins with the home folder of a user who is unknown") from error


def _one_of(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise _WrongError(f"is none of {', '.join(known)}")
        return text

    return parse


def _tls_version(text: str) -> int:
    return {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[_one_of("1.2", "1.3")(text)]


_database = _number(0, 65535)
_OPTIONS: dict[str, Callable[[str], object]] = {
    "db": _database,
    "username": str,
    "password": str,
    "client_name": str,
    "protocol": _number(2, 3),
    "socket_timeout": _seconds,
    "socket_connect_timeout": _seconds,
    "socket_keepalive": _flag,
    "health_check_interval": _number(0, 86_400),
    "max_connections": _number(1, 1_000_000),
}
_TLS_OPTIONS: dict[str, Callable[[str], object]] = {
    "ssl_ca_certs": _file,
    "ssl_ca_path": _folder,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_password": str,
    "ssl_cert_reqs": _one_of("required", "optional", "none"),
    "ssl_check_hostname": _flag,
    "ssl_min_version": _tls_version,
}
_SENTINEL_OPTIONS: dict[str, Callable[[str], object]] = {"sentinel_username": str, "sentinel_password": str}
_NOT_OF_A_CLUSTER = frozenset({"ssl_ca_path", "ssl_password"})
_SHOWN = frozenset({*_OPTIONS, *_TLS_OPTIONS, *_SENTINEL_OPTIONS} - _SECRETS)


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
        except _WrongError as error:
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
        sentinel = AsyncSentinel(list(self.sentinels), sentinel_kwargs=own, **self.options, retry=retry)
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
    if not text or (equals and name in _SHOWN):
        return text
    return f"{name}={MASK}" if equals and re.fullmatch(r"\w{1,40}", name) else MASK


def _parsed(url: str, cluster: bool, timeout_seconds: float) -> CacheAddress:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise _WrongError(f"begins with none of {', '.join(f'{name}://' for name in _SCHEMES)}; use e.g. "
                          "redis://HOST:6379/0")  # fmt: skip
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _WrongError(f"is no URL; write it as {scheme}://USER:PASSWORD@HOST:PORT/0") from error
    if parts.fragment:
        raise _WrongError("has a number sign; write one in a password as %23")
    tls, with_sentinels = scheme.startswith("rediss"), scheme.endswith("+sentinel")
    known = {**_OPTIONS, **(_TLS_OPTIONS if tls else {}), **(_SENTINEL_OPTIONS if with_sentinels else {})}
    options: dict[str, object] = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
    options |= _query_options(parts.query, known, scheme)
    credentials, at, hosts = parts.netloc.rpartition("@")
    if at:
        user, _, password = credentials.partition(":")
        options |= {name: unquote(text) for name, text in (("username", user), ("password", password)) if text}
    if tls:
        options |= {"ssl": True, **_tls_options(options)}
    path = unquote(parts.path)
    name = without_secrets(url)
    if with_sentinels:
        return _with_sentinels(name, cluster, options, hosts, path)
    if scheme == "unix":
        if hosts or not path:
            raise _WrongError("names no socket; write it as unix:///PATH")
        options |= {"path" if cluster else "unix_socket_path": path}
    else:
        host, port = _host_and_port(hosts or "localhost", _PORT)
        options |= {"host": host, "port": port, **_database_of(path.strip("/"), options)}
    if cluster:
        _check_cluster(scheme, options)
    return CacheAddress(name, cluster, options)


def _query_options(query: str, known: Mapping[str, Callable[[str], object]], scheme: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        parse = known.get(name)
        if parse is None:
            shown = name if re.fullmatch(r"\w{1,40}", name) else "of that name"
            problem = f"has an option {shown!r} that {scheme}:// does not know; known are {', '.join(known)}"
            raise _WrongError(f"{problem}; TLS takes rediss://" if "ssl" in name or "tls" in name else problem)
        if name in found:
            raise _WrongError(f"has the option {name!r} twice")
        try:
            found[name] = parse(text)
        except _WrongError as error:
            raise _WrongError(f"its option {name!r} {error}") from error
    return found


def _tls_options(options: Mapping[str, object]) -> dict[str, object]:
    """Check that the files can be loaded: redis-py would say so at every attempt to connect."""
    added: dict[str, object] = {}
    if options.get("ssl_cert_reqs") == "none":
        if options.get("ssl_check_hostname"):
            raise _WrongError("ssl_check_hostname needs a certificate; leave ssl_cert_reqs=none out")
        added["ssl_check_hostname"] = False
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(_text(options, "ssl_ca_certs"), _text(options, "ssl_ca_path")) if (
            "ssl_ca_certs" in options or "ssl_ca_path" in options
        ) else None
    except OSError as error:
        raise _WrongError(f"its option 'ssl_ca_certs' names no file of certificates ({error})") from error
    certificate, key = _text(options, "ssl_certfile"), _text(options, "ssl_keyfile")
    if key and not certificate:
        raise _WrongError("has ssl_keyfile without ssl_certfile")
    if certificate:
        # A function: OpenSSL would ask at the terminal for the password of a key that has one.
        password = _text(options, "ssl_password") or ""
        try:
            context.load_cert_chain(certificate, key, lambda: password)
        except OSError as error:
            raise _WrongError(
                f"ssl_certfile and ssl_keyfile cannot be loaded ({error}); give the certificate, its key, and "
                "ssl_password if the key has one"
            ) from error
    return added


def _text(options: Mapping[str, object], name: str) -> str | None:
    value = options.get(name)
    return None if value is None else str(value)


def _database_of(path: str, options: Mapping[str, object]) -> dict[str, object]:
    if not path:
        return {}
    try:
        number = _database(path)
    except _WrongError as error:
        raise _WrongError(
            "names no database: after the host comes its number, as in redis://HOST:6379/0"
        ) from error
    if options.get("db", number) != number:
        raise _WrongError("names two databases")
    return {"db": number}


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^:\[\]@/\s]+)(?::([0-9]{1,5}))?", text)
    port = int(match[2]) if match and match[2] else default
    if match is None or not 0 < port <= 65535:
        raise _WrongError(
            "has no HOST:PORT after the password; write special characters of a password as %2F, %3F, %23, %40"
        )
    return unquote(match[1]).strip("[]"), port


def _with_sentinels(name: str, cluster: bool, options: dict[str, object], hosts: str, path: str) -> CacheAddress:
    if cluster:
        raise _WrongError("names sentinels, and REDIS_CLUSTER is true; a cluster has none")
    master, _, database = path.strip("/").partition("/")
    if not hosts or not master:
        raise _WrongError("is written redis+sentinel://HOST:26379,HOST:26379/MASTER/0")
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
        raise _WrongError("names a socket, and REDIS_CLUSTER is true; a cluster is reached by HOST:PORT")
    if options.get("db", 0) != 0:
        raise _WrongError("names a database, and REDIS_CLUSTER is true; a cluster has only database 0")
    wrong = sorted(_NOT_OF_A_CLUSTER & options.keys())
    if wrong:
        raise _WrongError(f"has {wrong[0]}, which redis-py does not take for a cluster")
