from __future__ import annotations

from pathlib import Path

import pytest

from service.api.schemas.cache import CacheLookupAnswer
from service.cache.store import QueryScores
from tests.support.service.running import RunningService, running_service, settings_for

pytestmark = pytest.mark.anyio


async def test_products_with_scores_generation_and_version(service: RunningService) -> None:
    cache = service.state.cache
    generation = await cache.generations.active_or_open("us", 1)
    await cache.merge(generation, [QueryScores("usb cable", {"p2": 0.75, "p1": 0.75, "p3": 0.91239})])
    answer = (await service.client.get("/cache/us", params={"query": "USB\u3000Cable"})).json()
    assert answer["products"] == [
        {"id": "p3", "score": 0.9124},
        {"id": "p2", "score": 0.75},
        {"id": "p1", "score": 0.75},
    ]
    assert answer["status"] == "relevant"
    assert answer["normalised_query"] == "usb cable"
    assert (answer["generation"], answer["model_version"]) == (generation.number, 1)
    assert CacheLookupAnswer.model_validate(answer).created_at == generation.created_at


async def test_min_score_and_limit(service: RunningService) -> None:
    cache = service.state.cache
    generation = await cache.generations.active_or_open("us", 1)
    await cache.merge(generation, [QueryScores("tea", {"a": 0.7, "b": 0.8, "c": 0.9})])
    params: dict[str, str | float] = {"query": "tea", "min_score": 0.8}
    answer = (await service.client.get("/cache/us", params=params)).json()
    assert [product["id"] for product in answer["products"]] == ["c", "b"]
    answer = (await service.client.get("/cache/us", params={**params, "limit": 1})).json()
    assert [product["id"] for product in answer["products"]] == ["c"]


async def test_many_queries_in_one_request(service: RunningService) -> None:
    cache = service.state.cache
    generation = await cache.generations.active_or_open("us", 1)
    await cache.merge(generation, [QueryScores("tea", {"a": 0.7, "b": 0.8}), QueryScores("sofa", {"c": 0.6})])
    body = {"queries": ["SOFA", "unknown", "tea"], "min_score": 0.65}
    answers = (await service.client.post("/cache/us/lookup", json=body)).json()["answers"]
    assert [answer["query"] for answer in answers] == ["SOFA", "unknown", "tea"]
    assert [answer["status"] for answer in answers] == ["nothing_relevant", "never_scored", "relevant"]
    assert [product["id"] for product in answers[2]["products"]] == ["b", "a"]
    bad = await service.client.post("/cache/us/lookup", json={"queries": ["tea", " "]})
    assert (bad.status_code, "'queries[1]'" in bad.json()["detail"]) == (422, True)


async def test_nothing_relevant_is_told_from_never_scored(service: RunningService) -> None:
    cache = service.state.cache
    generation = await cache.generations.active_or_open("us", 1)
    await cache.merge(generation, [QueryScores("sofa", dropped={"p1"})])
    scored = (await service.client.get("/cache/us", params={"query": "sofa"})).json()
    unknown = (await service.client.get("/cache/us", params={"query": "chair"})).json()
    assert (scored["status"], scored["products"]) == ("nothing_relevant", [])
    assert (unknown["status"], unknown["products"]) == ("never_scored", [])


@pytest.mark.parametrize(
    "query",
    ["tea", "caf%C3%A9", "tea+pot", "tea%20pot", "a=b", "a%26b", "%FF", "%", "+", "", "tea;pot", "\u00e9"],
)
async def test_the_short_way_reads_a_query_as_the_framework_does(service: RunningService, query: str) -> None:
    generation = await service.state.cache.generations.active_or_open("us", 1)
    await service.state.cache.merge(
        generation, [QueryScores("café", {"p1": 0.75}), QueryScores("a&b", {"p2": 0.8})]
    )
    short = await service.client.get(f"/cache/us?query={query}")
    long = await service.client.get(f"/cache/us?query={query}&min_score=0")
    assert (short.status_code, short.headers["content-type"]) == (long.status_code, long.headers["content-type"])
    told_apart = {"request_id"}
    assert {k: v for k, v in short.json().items() if k not in told_apart} == {
        k: v for k, v in long.json().items() if k not in told_apart
    }


async def test_a_marketplace_of_which_nothing_was_cached(service: RunningService) -> None:
    answer = (await service.client.get("/cache/es", params={"query": "sofa"})).json()
    assert answer["status"] == "never_scored"
    assert answer["generation"] is None


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/cache/fr", "sofa", "marketplace"),
        ("/cache/u%20s", "sofa", "marketplace"),
        ("/cache/us", "", "query"),
        ("/cache/us", "a\x00b", "query"),
        ("/cache/us", "x" * 1001, "query"),
        ("/cache/us", None, "query"),
    ],
)
async def test_bad_input_is_named(service: RunningService, path: str, query: str | None, field: str) -> None:
    response = await service.client.get(path, params=None if query is None else {"query": query})
    assert response.status_code == 422
    assert f"'{field}'" in response.json()["detail"]


async def test_the_cache_can_be_read_without_a_model(tmp_path: Path) -> None:
    async with running_service(settings_for(tmp_path / "no-store", tmp_path)) as service:
        response = await service.client.get("/cache/us", params={"query": "sofa"})
    assert response.status_code == 200
