"""What a careless or hostile client may send: always a clean answer, and the service goes on."""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.service.command_line import Shop
from tests.support.service.running import RunningService, pair, running_service, settings_for
from tests.support.tiny_model import build_tiny_store


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hostile")
    shop = Shop.in_folder(folder, build_tiny_store(folder, ("us", "es")))
    limits = {"BODY_SECONDS": "0.5", "MAX_BODY_BYTES": "2000000"}
    shop = Shop(shop.folder, {**shop.settings, **limits})
    with shop.serving() as server:
        assert server.first_line.startswith("ready: ")
        yield server.address


@pytest.fixture(autouse=True)
def lives_on(url: str) -> Iterator[None]:
    yield
    assert httpx.post(f"{url}/score", json={"pairs": [pair()]}, timeout=60).status_code == 200


def as_json(**changes: object) -> str:
    return json.dumps({"pairs": [{**pair(), **changes}]})


BODIES = {
    "deep list": (b"[" * 100_000 + b"]" * 100_000, 400),
    "deep object": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
    "deep inside": (b'{"pairs": ' + b"[" * 500 + b"]" * 500 + b"}", 422),
    "huge number": (as_json(query=1).replace("1", "1" + "0" * 5000).encode(), 400),
    "huge exponent": (b'{"pairs": 1e999999}', 422),
    "NaN": (b'{"pairs": NaN}', 400),
    "Infinity": (b'{"pairs": -Infinity}', 400),
    "UTF-16": (as_json().encode("utf-16"), 400),
    "latin-1": (as_json(query="café").encode().decode("unicode_escape").encode("latin-1"), 400),
    "byte order mark": (b"\xef\xbb\xbf" + as_json().encode(), 400),
    "lone surrogate": (as_json(query="\ud800").encode(), 422),
    "NUL": (as_json(query="a\x00b").encode(), 422),
    "duplicate keys": (b'{"pairs": [], "pairs": 3}', 422),
    "empty": (b"", 422),
    "null": (b"null", 422),
    "a text": (b'"pairs"', 422),
    "trailing": (as_json().encode() + b"{}", 400),
    "not closed": (as_json().encode()[:-2], 400),
    "a number for a text": (as_json(query=12).encode(), 422),
    "a list for a product": (as_json(product=[]).encode(), 422),
    "too large": (b" " * 2_000_001, 413),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_wrong_gets_a_clean_answer(url: str, name: str) -> None:
    body, status = BODIES[name]
    response = httpx.post(f"{url}/score", content=body, headers={"content-type": "application/json"}, timeout=30)
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error", "detail", "type", "request_id"}


def test_a_slow_body_is_not_waited_for(url: str) -> None:
    head = b"POST /score HTTP/1.1\r\nHost: s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    started = time.monotonic()
    answer = exchanged(url, head)
    assert b" 408 " in answer.splitlines()[0]
    assert b"body_too_slow" in answer
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: s\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: s\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: s\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /score HTTP/1.1\r\nHost: s\r\nContent-Length: -5\r\n\r\n",
        b"POST /score HTTP/1.1\r\nHost: s\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_refused(url: str, head: bytes) -> None:
    answer = exchanged(url, head)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize(
    "endless",
    [
        b"GET /",
        b"GET /healthz HTTP/1.1\r\nHost: s\r\nX: ",
        b"GET /healthz HTTP/1.1\r\nHost: s\r\n" + b"X: y\r\n" * 2000,
        b"POST /score HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        b"POST /score HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
    ],
)
def test_a_head_without_an_end_is_cut_off(url: str, endless: bytes) -> None:
    # Far more than any limit, in parts, as from a client that never ends.
    parts = [endless, *[b"x" * 4096] * 2000]
    with connected(url) as connection, pytest.raises((ConnectionResetError, BrokenPipeError)):
        deque(map(connection.sendall, parts), maxlen=0)


def test_a_head_of_a_usual_size_is_read(url: str) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: s\r\nConnection: close\r\nX: " + b"x" * 30_000 + b"\r\n\r\n"
    assert exchanged(url, head).startswith(b"HTTP/1.1 200")


def test_a_large_head_is_told_what_was_wrong(url: str) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: s\r\nX: " + b"x" * 66_000 + b"\r\n\r\n"
    assert b" 431 " in exchanged(url, head).splitlines()[0]


@pytest.mark.parametrize("path", ["/cache/..%2f..%2fetc", "/cache/%00?query=a", "/cache/us?query=%ff%fe", "/%"])
def test_odd_paths_are_answered(url: str, path: str) -> None:
    place = urlsplit(url)
    answer = exchanged(url, f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 422", b"HTTP/1.1 200"))


def test_a_client_that_leaves_at_once_does_no_harm(url: str) -> None:
    body = json.dumps({"pairs": [pair(title=f"{n} " * 50) for n in range(500)]}).encode()
    head = f"POST /score HTTP/1.1\r\nHost: s\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for _ in range(20):
        with connected(url) as connection:
            connection.sendall(head + body)


def connected(url: str) -> socket.socket:
    place = urlsplit(url)
    assert place.hostname
    return socket.create_connection((place.hostname, place.port or 80), timeout=20)


def exchanged(url: str, content: bytes) -> bytes:
    """What comes back until the other side closes, or has said enough."""
    answer = b""
    with connected(url) as connection:
        try:
            connection.sendall(content)
            while part := connection.recv(65536):
                answer += part
                if b"\r\n\r\n" in answer and b"}" in answer:
                    break
        except (ConnectionResetError, BrokenPipeError):
            return answer
    return answer


pytestmark = pytest.mark.anyio

SHOP = "https://search.shop.example"
KEY = "k" * 20
PREFLIGHT = {
    "Origin": SHOP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.fixture
async def allowing(tiny_store: Path, tmp_path: Path) -> AsyncIterator[RunningService]:
    settings = settings_for(tiny_store, tmp_path, cors_origins=SHOP, api_keys=KEY)
    async with running_service(settings) as running:
        yield running


async def test_pages_of_others_are_let_nowhere_unless_told_otherwise(service: RunningService) -> None:
    for response in (
        await service.client.options("/score", headers=PREFLIGHT),
        await service.client.post("/score", json={"pairs": [pair()]}, headers={"Origin": SHOP}),
    ):
        assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_a_page_of_an_allowed_origin_may_ask(allowing: RunningService) -> None:
    asked = await allowing.client.options("/score", headers=PREFLIGHT)
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == SHOP
    headers = {"Origin": SHOP, "Authorization": f"Bearer {KEY}"}
    answer = await allowing.client.post("/score", json={"pairs": [pair()]}, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP


async def test_it_may_also_read_why_it_was_refused(allowing: RunningService) -> None:
    refused = await allowing.client.post("/score", json={"pairs": [pair()]}, headers={"Origin": SHOP})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == SHOP
    assert "X-Request-ID" in refused.headers["Access-Control-Expose-Headers"]


async def test_another_origin_may_not(allowing: RunningService) -> None:
    asked = await allowing.client.options("/score", headers={**PREFLIGHT, "Origin": "https://other.example"})
    assert "Access-Control-Allow-Origin" not in asked.headers
