from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.service.running import RunningService, pair, running_service, settings_for

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
