from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.service.running import RunningService, pair, running_service, settings_for
from tests.support.service.watched_fill import title_of

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


Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def figures(service: RunningService) -> Figures:
    text = (await service.client.get("/metrics")).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figure(found: Figures, name: str, **labels: str) -> float:
    return found[f"relevance_{name}", tuple(sorted(labels.items()))]


async def test_what_happened_is_counted(service: RunningService) -> None:
    pairs = [pair("asked", title_of(place), product_id=str(place)) for place in range(20)]
    answer = (await service.client.post("/score", json={"pairs": pairs})).json()
    await service.client.post("/score", json={"pairs": []})
    for query in ("asked", "never"):
        await service.client.get("/cache/us", params={"query": query})
    await service.client.get("/nowhere/at/all")
    found = await figures(service)
    assert figure(found, "requests_total", route="/score", status="200") == 1
    assert figure(found, "requests_total", route="/score", status="422") == 1
    assert figure(found, "requests_total", route="/cache/{marketplace}", status="200") == 2
    assert figure(found, "requests_total", route="unknown", status="404") == 1
    assert figure(found, "errors_total", error="invalid_field") == 1
    assert figure(found, "errors_total", error="not_found") == 1
    assert figure(found, "request_seconds_count", route="/score") == 2
    assert answer["cache"]["written"] > 0
    assert figure(found, "scores_count", marketplace="us") == 20
    assert figure(found, "cache_writes_total", marketplace="us") == answer["cache"]["written"]
    assert figure(found, "cache_lookups_total", marketplace="us", status="relevant") == 1
    assert figure(found, "cache_lookups_total", marketplace="us", status="never_scored") == 1
    assert figure(found, "batch_tokens_count") > 0
    assert figure(found, "tokenizing_seconds_count") == 1
    assert figure(found, "queue_seconds_count") == 1
    assert figure(found, "model_version") == 1
    assert figure(found, "waiting_tokens") == 0
    assert figure(found, "encoded_texts") == 21
    assert figure(found, "encoded_text_misses_total") == 21


async def test_no_query_is_in_the_figures(service: RunningService) -> None:
    await service.client.post("/score", json={"pairs": [pair("a very secret query")]})
    await service.client.get("/cache/us", params={"query": "a very secret query"})
    assert "secret" not in (await service.client.get("/metrics")).text
