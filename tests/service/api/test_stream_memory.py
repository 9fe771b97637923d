"""A stream of any length takes the memory of a short one."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.service.command_line import Server, Shop
from tests.support.service.running import pair
from tests.support.tiny_model import build_tiny_store

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

SHORT, LONG = 5_000, 60_000
ALLOWED_MEGABYTES = 40


def pairs(count: int) -> Iterator[bytes]:
    for place in range(count):
        yield json.dumps(pair(title=f"title {place} " + "of a product " * 20)).encode() + b"\n"


def streamed(server: Server, count: int) -> int:
    """How many scores came back; they are read while pairs are sent, and nothing of them is kept."""
    place = urlsplit(server.address)
    with closing(http.client.HTTPConnection(place.netloc, timeout=60)) as connection:
        connection.putrequest("POST", "/score/stream?write_cache=false")
        connection.putheader("Content-Type", "application/x-ndjson")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        sending = threading.Thread(target=send, args=(connection.sock, count))
        sending.start()
        answer = connection.getresponse()
        assert answer.status == 200
        found = sum(b'"score"' in line for line in answer)
        sending.join()
    return found


def send(to: socket.socket, count: int) -> None:
    for line in pairs(count):
        to.sendall(b"%x\r\n%s\r\n" % (len(line), line))
    to.sendall(b"0\r\n\r\n")


def test_memory_does_not_grow_with_the_stream(tmp_path: Path) -> None:
    shop = Shop.in_folder(tmp_path / "shop", build_tiny_store(tmp_path, ("us", "es")))
    changes = {"ENCODED_TEXT_BYTES": "0", "LOG_LEVEL": "warning", "TOKEN_BUDGET": "8192"}
    with Shop(shop.folder, {**shop.settings, **changes}).serving() as server:
        assert server.first_line.startswith("ready: ")
        assert streamed(server, SHORT) == SHORT
        before = server.resident_megabytes()
        assert streamed(server, LONG) == LONG
        assert server.resident_megabytes() - before < ALLOWED_MEGABYTES
