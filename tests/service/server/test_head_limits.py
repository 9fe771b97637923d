"""Heads that do not arrive; those that are too large are sent in `api/test_hostile_input.py`."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from service.server.head_limits import BoundedHeadProtocol

HEAD_SECONDS = 0.5


class Impatient(BoundedHeadProtocol):
    head_seconds = HEAD_SECONDS


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads the whole body."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(answer) as port:
        yield port


@contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, http=Impatient, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(30)


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: s\r\nX: y"])
def test_a_client_that_does_not_send_a_head_is_not_waited_for(port: int, sent: bytes) -> None:
    started = time.monotonic()
    with connected(port) as connection:
        connection.sendall(sent)
        assert connection.recv(100) == b""
    assert HEAD_SECONDS / 2 < time.monotonic() - started < 15


def test_the_next_head_of_a_kept_connection_is_not_waited_for_either(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: s\r\n\r\n")
        assert connection.recv(1000).endswith(b"ok")
        connection.sendall(b"GET / HT")
        assert connection.recv(100) == b""


def test_a_body_may_take_longer(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 2\r\n\r\n")
        # A client that came later and sends no head is no longer waited for: a head's time is over here too.
        with connected(port) as later:
            assert later.recv(100) == b""
        connection.sendall(b"ab")
        assert connection.recv(1000).endswith(b"ok")


STREAMED = [b"one\n", b"", b"two\n" * 5000, b"three\n"]


@pytest.mark.parametrize(
    ("version", "head", "body"),
    [
        ("1.0", {"connection": "close"}, b"".join(STREAMED)),
        ("1.1", {"transfer-encoding": "chunked"}, b"".join(STREAMED)),
    ],
)
def test_a_stream_ends_with_the_connection_for_who_knows_no_chunks(
    version: str, head: dict[str, str], body: bytes
) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for place, part in enumerate(STREAMED):
            await send({"type": "http.response.body", "body": part, "more_body": place < len(STREAMED) - 1})

    with served(stream) as port, connected(port) as connection:
        connection.sendall(f"GET / HTTP/{version}\r\nHost: s\r\nConnection: close\r\n\r\n".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert {name: response.headers[name] for name in ("connection", "transfer-encoding")} == {
            "connection": "close",
            "transfer-encoding": head.get("transfer-encoding"),
        }
        assert response.read() == body
        assert connection.recv(10) == b""


def test_an_answer_with_a_length_keeps_it_for_http_1_0(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(1000), b""))
    assert b"content-length: 2" in received
    assert received.endswith(b"\r\n\r\nok")
