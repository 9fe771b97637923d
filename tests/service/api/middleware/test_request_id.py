from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from service.api.errors import install_error_handlers
from service.api.middleware.request_id import RequestIdMiddleware
from service.api.request_scope import REQUEST_ID_HEADER
from tests.support.service.running import RunningService

pytestmark = pytest.mark.anyio


@pytest.fixture
async def failing() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose one route fails."""
    app = FastAPI()
    app.add_middleware(RequestIdMiddleware)
    install_error_handlers(app)

    @app.get("/")
    async def fail() -> None:
        raise ZeroDivisionError("secret")

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


async def test_a_failure_is_found_in_the_log_by_the_id_in_its_answer(
    failing: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="service"):
        response = await failing.get("/", headers={REQUEST_ID_HEADER: "trace-1"})
    assert response.status_code == 500
    assert response.headers[REQUEST_ID_HEADER] == response.json()["request_id"] == "trace-1"
    assert response.json()["error"] == "internal_error"
    assert "secret" not in response.text
    assert "request trace-1 failed" in caplog.text
    assert "ZeroDivisionError: secret" in caplog.text


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", "a\tb", "<script>", "é"])
async def test_an_id_that_could_do_harm_is_replaced(service: RunningService, given: str) -> None:
    response = await service.client.get(
        "/nothing", headers=[(REQUEST_ID_HEADER.encode(), given.encode("latin-1"))]
    )
    made = response.headers[REQUEST_ID_HEADER]
    assert made != given
    assert len(made) == 32
    assert response.json()["request_id"] == made


async def test_every_request_has_an_id_of_its_own(service: RunningService) -> None:
    first, second = [(await service.client.get("/healthz")).headers[REQUEST_ID_HEADER] for _ in range(2)]
    assert first != second
    longest = "aZ09._:-" * 16
    assert (await service.client.get("/healthz", headers={REQUEST_ID_HEADER: longest})).headers[
        REQUEST_ID_HEADER
    ] == longest
