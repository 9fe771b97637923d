from __future__ import annotations

import pytest

from tests.service.running import RunningService

pytestmark = pytest.mark.anyio


async def test_the_model_tells_its_marketplaces_and_thresholds(service: RunningService) -> None:
    answer = (await service.client.get("/model")).json()
    assert answer["model_version"] == 1
    assert answer["device"] == "cpu"
    thresholds = {entry["name"]: entry["threshold"] for entry in answer["marketplaces"]}
    assert thresholds == {"us": 0.5, "es": 0.5, "jp": None}
