from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.service.candidate_files import title_of
from tests.support.service.running import RunningService, pair

pytestmark = pytest.mark.anyio

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
