from __future__ import annotations

import pytest

from tests.support.service.probes import with_probes
from tests.support.service.running import RunningService

pytestmark = pytest.mark.anyio


async def test_the_pairs_that_are_stored_with_the_version_can_be_tried(service: RunningService) -> None:
    with_probes(service.state.model.required_scorer())
    found = (await service.client.get("/examples/us")).json()
    assert found["model_version"] == 1
    assert [item["product_title"] for item in found["examples"]] == ["cable 0", "cable 1"]
    assert {item["query"] for item in found["examples"]} == {"usb cable"}
    assert (await service.client.get("/examples/jp")).json()["examples"] == []


async def test_an_unknown_marketplace_is_named(service: RunningService) -> None:
    refused = await service.client.get("/examples/xx")
    assert refused.status_code == 422
    assert "known are us, es, jp" in refused.json()["detail"]
