"""A server that ends under load loses no request that it has let in."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from service.server.head_limits import BoundedHeadProtocol
from service.server.shutdown import DrainingServer, refuse_new_connections
from tests.support.service.command_line import Shop
from tests.support.service.running import pair
from tests.support.tiny_model import build_tiny_store

pytestmark = pytest.mark.anyio

CLIENTS = 12
ANSWERS_BEFORE_THE_END = 100
LOST = "lost"


async def slow_answer(scope: Scope, receive: Receive, send: Send) -> None:
    """An application whose answers take as long as a small batch."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(0.002)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Load:
    """Clients that ask one request after another until nobody lets them in any more."""

    def __init__(self, url: str, body: dict[str, object], *, kept: bool) -> None:
        self._url, self._body, self._kept = url, body, kept
        self.answers: Counter[int | str] = Counter()
        self.enough = asyncio.Event()

    async def run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)))

    async def _client(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=None if self._kept else 0)
        async with httpx.AsyncClient(timeout=30, limits=limits) as client:
            while await self._asked(client):
                # A refusal (429) is cheap, and a busy machine gives many.
                if self.answers[200] >= ANSWERS_BEFORE_THE_END:
                    self.enough.set()

    async def _asked(self, client: httpx.AsyncClient) -> bool:
        try:
            self.answers[(await client.post(self._url, json=self._body)).status_code] += 1
        except httpx.ConnectError:
            return False
        except httpx.TransportError as error:
            self.answers[f"{LOST}: {error!r}"] += 1
        return True


@contextmanager
def served_in_a_thread() -> Iterator[tuple[str, DrainingServer]]:
    configuration = uvicorn.Config(slow_answer, log_config=None, http=BoundedHeadProtocol, lifespan="off")
    server = DrainingServer(configuration)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", server
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("kept", [True, False], ids=["kept connections", "new connections"])
@pytest.mark.parametrize("ends", [3, pytest.param(50, marks=pytest.mark.long)])
async def test_no_request_is_lost_whenever_the_server_ends(kept: bool, ends: int) -> None:
    for _ in range(ends):
        with served_in_a_thread() as (url, server):
            load = Load(url, {}, kept=kept)
            clients = asyncio.create_task(load.run())
            await load.enough.wait()
            server.should_exit = True
            await clients
        assert set(load.answers) == {200}


async def test_a_service_that_is_terminated_under_load_answers_all_that_it_let_in(tmp_path: Path) -> None:
    shop = Shop.in_folder(tmp_path / "shop", build_tiny_store(tmp_path, ("us", "es")))
    # Nobody reads its log meanwhile, and a full pipe would hold it up.
    shop = Shop(shop.folder, {**shop.settings, "LOG_LEVEL": "warning"})
    body = {"pairs": [pair(title=f"title {place}") for place in range(16)], "write_cache": False}
    with shop.serving() as server:
        assert server.first_line.startswith("ready: ")
        loads = [Load(f"{server.address}/score", body, kept=kept) for kept in (True, False)]
        clients = [asyncio.create_task(load.run()) for load in loads]
        for load in loads:
            await load.enough.wait()
        started = time.monotonic()
        server.terminate()
        await asyncio.gather(*clients)
        finished = await asyncio.to_thread(server.ended)
    # A container is given 10 seconds; this machine may have other things to do.
    assert time.monotonic() - started < 30
    assert (finished.code, finished.output) == (0, "")
    for load in loads:
        assert set(load.answers) <= {200, 429, 503}


ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="a filter of Linux")


@ON_LINUX
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_who_is_at_the_door_is_let_in_and_nobody_else(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        place = listener.getsockname()[:2]
        with socket.create_connection(place, timeout=5) as early:
            refuse_new_connections(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(place, timeout=0.2)
            accepted, _ = listener.accept()
            with accepted:
                early.sendall(b"asked")
                assert accepted.recv(5) == b"asked"
                accepted.sendall(b"answered")
                assert early.recv(8) == b"answered"


@ON_LINUX
def test_where_it_is_not_allowed_the_service_ends_all_the_same() -> None:
    """As a user without any rights; whether a filter is allowed then is up to the kernel."""
    command = (
        "import os, socket\n"
        "from service.server.shutdown import refuse_new_connections\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "refuse_new_connections(socket.create_server(('127.0.0.1', 0)))\n"
        "print('ended')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "ended\n", done.stderr
