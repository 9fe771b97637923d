from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.state import state_of
from tests.support.service.running import RunningService, pair, running_service, settings_for

pytestmark = pytest.mark.anyio

RANKING = {"marketplace": "us", "query": "a", "products": [{"id": "1", "title": "b"}]}


async def test_a_request_whose_time_is_over_is_told_so_and_dropped(service: RunningService) -> None:
    headers = {"X-Deadline-Seconds": "0.05"}
    async with held(service):
        response = await service.client.post("/score", json={"pairs": [pair()]}, headers=headers)
    assert response.status_code == 503
    assert response.json()["error"] == "deadline_exceeded"
    assert "0.05 seconds" in response.json()["detail"]
    assert int(response.headers["Retry-After"]) > 0
    assert service.state.batching.admission.waiting_calls == 0


async def test_the_service_has_a_limit_of_its_own(tiny_store: Path, tmp_path: Path) -> None:
    async with running_service(settings_for(tiny_store, tmp_path, request_seconds=0.05)) as service:
        headers = {"X-Deadline-Seconds": "100"}
        async with held(service):
            response = await service.client.post("/rank", json=RANKING, headers=headers)
        assert response.json()["error"] == "deadline_exceeded"


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
async def test_a_wrong_deadline_is_named(service: RunningService, value: str) -> None:
    headers = {"X-Deadline-Seconds": value}
    response = await service.client.post("/score", json={"pairs": [pair()]}, headers=headers)
    assert response.status_code == 422
    assert "X-Deadline-Seconds" in response.json()["detail"]


async def test_work_of_a_client_that_left_is_dropped(service: RunningService) -> None:
    app = service.client._transport.app  # type: ignore[attr-defined]
    assert state_of(app) is service.state
    sent: list[dict[str, Any]] = []
    gone = asyncio.Event()
    body = [
        {"type": "http.request", "body": b'{"pairs": [%s]}' % json.dumps(pair()).encode(), "more_body": False}
    ]

    async def receive() -> dict[str, Any]:
        if body:
            return body.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async with held(service):
        request = asyncio.create_task(app(scope(), receive, send))
        while service.state.batching.admission.waiting_calls == 0:
            await asyncio.sleep(0)
        gone.set()
        await request
    assert sent[0]["status"] == 499
    assert service.state.batching.admission.waiting_calls == 0


@asynccontextmanager
async def held(service: RunningService) -> AsyncIterator[None]:
    """Keep the computing thread busy."""
    begun, go = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go.wait(30)

    task = asyncio.create_task(service.state.batching.run(wait))
    await asyncio.to_thread(begun.wait)
    yield
    go.set()
    await task


def scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/score",
        "raw_path": b"/score",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "scheme": "http",
        "server": ("service", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
