from __future__ import annotations

import logging
from pathlib import Path

import pytest

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
