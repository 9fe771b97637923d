from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.service.running import pair, running_service, settings_for
from tests.support.tiny_model import build_tiny_store, publish_tiny_version

pytestmark = pytest.mark.anyio


async def test_versions_score_the_same_pairs(tmp_path: Path) -> None:
    store = build_tiny_store(tmp_path, ("us", "es"))
    publish_tiny_version(store, tmp_path / "encoder", ("us", "es", "jp"), seed=1, parent=1)
    async with running_service(settings_for(store, tmp_path)) as service:
        asked = [pair(), pair(marketplace="jp"), pair(title="a sofa")]
        answer = (await service.client.post("/compare", json={"pairs": asked, "versions": [1, 2, 1]})).json()
        old, new = answer["versions"]
        assert (old["model_version"], new["model_version"]) == (1, 2)
        assert old["scores"][1] is None
        assert None not in new["scores"]
        served = (await service.client.post("/score", json={"pairs": asked, "write_cache": False})).json()
        assert new["scores"] == pytest.approx([item["score"] for item in served["results"]], abs=1e-5)
        assert new["highly_relevant"] == [item["highly_relevant"] for item in served["results"]]
        assert (await service.client.get("/model")).json()["model_version"] == 2

        unknown = await service.client.post("/compare", json={"pairs": asked, "versions": [9]})
        assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")
        assert "no version '9'; it has 1, 2" in unknown.json()["detail"]
        many = await service.client.post("/compare", json={"pairs": [pair()] * 101, "versions": [1]})
        assert many.status_code == 422
        wrong = await service.client.post(
            "/compare", json={"pairs": [pair(marketplace="fr")], "versions": [1, 2]}
        )
        assert "known are es, jp, us" in wrong.json()["detail"]
