from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.service.running import RunningService, pair, running_service, settings_for

pytestmark = pytest.mark.anyio


async def test_a_loaded_service_is_ready(service: RunningService) -> None:
    assert (await service.client.get("/healthz")).json() == {"status": "ok"}
    ready = await service.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "model_version": 1, "missing": [], "refused": None}


async def test_without_a_model_it_lives_but_is_not_ready(tmp_path: Path) -> None:
    async with running_service(settings_for(tmp_path / "store", tmp_path)) as service:
        assert (await service.client.get("/healthz")).status_code == 200
        ready = await service.client.get("/readyz")
        scored = await service.client.post("/score", json={"pairs": [pair()]})
        model = await service.client.get("/model")
    assert ready.status_code == 503
    assert "model:" in ready.json()["detail"]
    for response in (ready, scored, model):
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        assert "promoted version" in response.json()["detail"]


async def test_a_wrong_version_is_said(tiny_store: Path, tmp_path: Path) -> None:
    async with running_service(settings_for(tiny_store, tmp_path, model_version="7")) as service:
        ready = await service.client.get("/readyz")
    assert "no version '7'" in ready.json()["detail"]
