"""What REDIS_URL may say, and that no secret of it is ever shown."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_store.errors import ConfigurationError
from service.cache import OfflineCache
from service.cache.server.address import MASK, CacheAddress, without_secrets

SECRETS = st.text(min_size=6, max_size=30).filter(lambda text: MASK not in text and len(set(text)) > 3)
HOSTS = st.sampled_from(["cache", "127.0.0.1", "[::1]", "cache.example"])


def outcome(url: str, *, cluster: bool = False) -> str:
    """The error, or the name of the address, from which a client can be made."""
    try:
        address = CacheAddress.parse(url, cluster=cluster)
    except ConfigurationError as error:
        return str(error)
    if not cluster:
        address.client()
    return f"name: {address.name}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", {"host": "localhost", "port": 6379}),
        ("redis://cache:7/3", {"host": "cache", "port": 7, "db": 3}),
        ("redis://[::1]:7", {"host": "::1", "port": 7}),
        ("redis://a%40b:c%2Fd@cache", {"username": "a@b", "password": "c/d"}),
        ("redis://:only@cache", {"password": "only"}),
        ("redis://cache?password=p&db=2", {"password": "p", "db": 2}),
        ("unix:///run/redis.sock?db=1", {"unix_socket_path": "/run/redis.sock", "db": 1}),
        ("rediss://cache?ssl_cert_reqs=none", {"ssl": True, "ssl_check_hostname": False}),
        ("redis://cache?socket_timeout=5", {"socket_timeout": 5.0, "socket_connect_timeout": 2.0}),
    ],
)
def test_a_url_says(url: str, expected: dict[str, object]) -> None:
    options = CacheAddress.parse(url).options
    assert {name: options.get(name) for name in expected} == expected


def test_sentinels_are_named_with_their_master() -> None:
    url = "redis+sentinel://writer:a%40b@one:1,two,[::1]:3/shop/4?sentinel_password=guard"
    address = CacheAddress.parse(url)
    assert address.sentinels == (("one", 1), ("two", 26379), ("::1", 3))
    assert address.master == "shop"
    options, own = dict(address.options), dict(address.sentinel_options)
    assert (options["username"], options["password"], options["db"]) == ("writer", "a@b", 4)
    assert own == {"password": "guard", "socket_timeout": 2.0, "socket_connect_timeout": 2.0}
    assert "a@b" not in repr(address)
    assert "guard" not in repr(address)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://cache?ssl=true", "'ssl'.*rediss://"),
        ("redis://cache?ssl_cert_reqs=none", "'ssl_cert_reqs'.*rediss://"),
        ("redis://cache?sslmode=require", "'sslmode'"),
        ("redis://cache?prefix=x", "'prefix'.*known are db"),
        ("redis://cache?decode_responses=true", "'decode_responses'"),
        ("redis://cache?db=two", "'db'.*0 to 65535"),
        ("redis://cache?db=1&db=2", "twice"),
        ("redis://cache/shop", "no database"),
        ("redis://cache/1?db=2", "two databases"),
        ("redis://cache/-1", "no database"),
        ("redis://cache:port", "HOST:PORT"),
        ("redis://cache:0", "HOST:PORT"),
        ("redis://cache:99999", "HOST:PORT"),
        ("redis://[::1", "is no URL"),
        ("redis://user:pass#word@cache", "%23"),
        ("redis://user:pa/ss@cache", "%2F"),
        ("redis://cache?socket_timeout=soon", "'socket_timeout'.*seconds"),
        ("redis://cache?socket_timeout=inf", "'socket_timeout'.*seconds"),
        ("redis://cache?protocol=4", "'protocol'.*2 to 3"),
        ("redis://cache?socket_keepalive=perhaps", "true nor false"),
        ("unix://", "unix:///PATH"),
        ("unix://relative/path", "unix:///PATH"),
        ("rediss://cache?ssl_ca_certs=/no/such/ca.pem", "'ssl_ca_certs'.*no file"),
        ("rediss://cache?ssl_keyfile=/etc/hostname", "without ssl_certfile"),
        ("rediss://cache?ssl_certfile=/etc/hostname", "cannot be loaded"),
        ("rediss://cache?ssl_ca_certs=/etc/hostname", "certificates"),
        ("rediss://cache?ssl_cert_reqs=perhaps", "required, optional, none"),
        ("rediss://cache?ssl_min_version=1.0", "1.2, 1.3"),
        ("redis+sentinel://one:1", "HOST:26379,HOST:26379/MASTER/0"),
        ("redis+sentinel:///shop", "HOST:26379,HOST:26379/MASTER/0"),
        ("redis+sentinel://one:1,/shop", "HOST:PORT"),
        ("localhost:6379", "begins with none"),
        ("http://cache", "begins with none"),
        ("", "begins with none"),
    ],
)
def test_what_a_url_may_not_say(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=f"setting REDIS_URL: .*{says}"):
        CacheAddress.parse(url)
    with pytest.raises(ConfigurationError, match="the URL of the cache: "):
        OfflineCache.from_url(url)


@pytest.mark.parametrize(
    "url", ["unix:///run/redis.sock", "redis://cache/1", "redis+sentinel://one/shop", "rediss://c?ssl_password=x"]
)
def test_what_a_cluster_is_not(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"setting REDIS_URL: .*cluster"):
        CacheAddress.parse(url, cluster=True)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@host:1/0", "redis://user:********@host:1/0"),
        ("redis://:secret@host", "redis://:********@host"),
        ("redis://secret@host", "redis://:********@host"),
        ("redis://host/0?password=secret&db=1", "redis://host/0?password=********&db=1"),
        ("redis://host?passwort=secret", "redis://host?passwort=********"),
        ("unix:///a/socket?db=1", "unix:///a/socket?db=1"),
        (
            "https://collector.example/v1/traces?api_key=secret",
            "https://collector.example/v1/traces?api_key=********",
        ),
        ("secret", "********"),
        ("user:secret@host", "********"),
        ("redis:/user:secret@host", "********"),
        ("redis://user:sec?ret@host", "redis://********"),
        ("redis://user:sec#ret@host", "redis://********"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@given(secret=SECRETS, host=HOSTS, raw=st.booleans())
@example(secret="a@b@c:d/e?f#g", host="cache", raw=True)
@example(secret="://://@@secret", host="cache", raw=True)
def test_no_password_is_shown_wherever_it_stands(secret: str, host: str, raw: bool) -> None:
    written = secret if raw else quote(secret, safe="")
    for url in (
        f"redis://user:{written}@{host}:6379/0",
        f"redis://:{written}@{host}",
        f"rediss://{host}/0?password={written}&db=1",
        f"redis+sentinel://{host},{host}/shop?sentinel_password={written}",
        f"rediss://{host}?ssl_password={written}",
        written,
        f"user:{written}@{host}",
    ):
        shown = without_secrets(url)
        assert secret not in shown
        assert written not in shown
        said = outcome(url)
        assert secret not in said
        assert written not in said


@given(st.text(max_size=60), st.sampled_from(["redis", "rediss", "unix", "redis+sentinel"]), st.booleans())
def test_any_text_is_an_address_or_an_error(text: str, scheme: str, cluster: bool) -> None:
    for url in (text, f"{scheme}://{text}"):
        assert outcome(url, cluster=cluster).startswith(("setting REDIS_URL: ", "name: "))
