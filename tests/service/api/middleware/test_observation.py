from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.api.errors import install_error_handlers
from service.api.middleware.observation import RequestIdMiddleware
from service.api.request_scope import REQUEST_ID_HEADER
from tests.support.service.running import RunningService, pair, running_service, settings_for

pytestmark = pytest.mark.anyio

LOGGER = "service.requests"


async def test_a_request_is_one_line_without_its_texts(
    service: RunningService, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger=LOGGER):
        headers = {"X-Request-ID": "r-1"}
        await service.client.post("/score", json={"pairs": [pair("secret"), pair()]}, headers=headers)
        await service.client.get("/healthz")
    (record,) = [item for item in caplog.records if item.name == LOGGER]
    facts = vars(record)
    assert record.getMessage() == "POST /score 200"
    assert (facts["request_id"], facts["status"], facts["route"]) == ("r-1", 200, "/score")
    assert (facts["pairs"], facts["model_version"]) == (2, 1)
    assert facts["tokens"] > 0
    assert facts["seconds"] > 0
    assert "secret" not in str(facts)


async def test_an_error_is_told_by_its_code(service: RunningService, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=LOGGER):
        await service.client.post("/score", json={"pairs": [pair(" ")]})
    (record,) = [item for item in caplog.records if item.name == LOGGER]
    assert vars(record)["error"] == "invalid_field"


async def test_queries_are_logged_where_that_is_asked_for(
    tiny_store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_service(settings_for(tiny_store, tmp_path, log_queries=True)) as service:
        with caplog.at_level(logging.INFO, logger=LOGGER):
            await service.client.post("/score", json={"pairs": [pair("red shoes"), pair("red shoes")]})
    (record,) = [item for item in caplog.records if item.name == LOGGER]
    assert vars(record)["queries"] == ["red shoes"]


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
