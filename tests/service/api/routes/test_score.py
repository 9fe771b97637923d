from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from redis import Redis

from tests.support.service.running import RunningService, pair, running_service, settings_for

pytestmark = pytest.mark.anyio


async def test_scores_come_in_the_order_asked(service: RunningService) -> None:
    titles = [f"{word} {number}" for number, word in enumerate(["cable", "a much longer title", "sofa", "x"] * 5)]
    pairs = [pair(title=title, product_id=str(place)) for place, title in enumerate(titles)]
    together = (await service.client.post("/score", json={"pairs": pairs})).json()
    assert together["model_version"] == 1
    for place in (0, 7, 19):
        alone = (await service.client.post("/score", json={"pairs": [pairs[place]]})).json()
        assert alone["results"][0]["score"] == pytest.approx(together["results"][place]["score"], abs=1e-5)
    assert len({result["score"] for result in together["results"]}) > 5


async def test_highly_relevant_pairs_are_cached_and_found_again(service: RunningService) -> None:
    pairs = [pair(title=f"product {number}", product_id=f"p{number}") for number in range(30)]
    answer = (await service.client.post("/score", json={"pairs": pairs})).json()
    verdicts = [result["highly_relevant"] for result in answer["results"]]
    assert verdicts == [result["score"] >= 0.5 for result in answer["results"]]
    assert [result["cached"] for result in answer["results"]] == verdicts
    assert answer["cache"] == {"written": sum(verdicts), "note": None}
    found = (await service.client.get("/cache/us", params={"query": " USB  c CABLE "})).json()
    expected = {item["product"]["id"] for item, verdict in zip(pairs, verdicts, strict=True) if verdict}  # type: ignore[index]
    assert {product["id"] for product in found["products"]} == expected
    assert (found["status"] == "relevant") == bool(expected)


async def test_write_cache_false_writes_nothing(service: RunningService) -> None:
    answer = (await service.client.post("/score", json={"pairs": [pair()], "write_cache": False})).json()
    assert answer["cache"]["written"] == 0
    found = (await service.client.get("/cache/us", params={"query": "usb c cable"})).json()
    assert found["status"] == "never_scored"


async def test_a_marketplace_without_threshold_is_scored_but_not_cached(service: RunningService) -> None:
    answer = (await service.client.post("/score", json={"pairs": [pair("テレビ", marketplace="jp")]})).json()
    assert 0 <= answer["results"][0]["score"] <= 1
    assert answer["results"][0]["highly_relevant"] is False
    assert answer["results"][0]["cached"] is False
    assert "jp: the model version has no threshold" in answer["cache"]["note"]


async def test_scoring_goes_on_when_the_cache_is_killed(service: RunningService) -> None:
    pairs = {"pairs": [pair(title=f"product {number}", product_id=str(number)) for number in range(10)]}
    before = (await service.client.post("/score", json=pairs)).json()
    with Redis(unix_socket_path=service.state.cache.connection.name.removeprefix("unix://")) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
    response = await service.client.post("/score", json=pairs)
    after = response.json()
    assert response.status_code == 200
    assert [item["score"] for item in after["results"]] == [item["score"] for item in before["results"]]
    assert not any(item["cached"] for item in after["results"])
    assert "did not answer" in after["cache"]["note"]
    lookup = await service.client.get("/cache/us", params={"query": "usb c cable"})
    assert lookup.status_code == 503
    assert lookup.json()["error"] == "cache_unavailable"
    assert int(lookup.headers["Retry-After"]) > 0
    ready = await service.client.get("/readyz")
    assert ready.status_code == 200
    assert "cache:" in ready.json()["missing"][0]


async def test_a_redis_that_is_not_there_at_the_start_does_not_keep_the_service_from_scoring(
    tiny_store: Path, tmp_path: Path
) -> None:
    settings = settings_for(tiny_store, tmp_path, redis_url="redis://:secret@127.0.0.1:1/0")
    async with running_service(settings) as service:
        answer = (await service.client.post("/score", json={"pairs": [pair()]})).json()
    assert answer["model_version"] == 1
    assert "secret" not in answer["cache"]["note"]
    assert "127.0.0.1:1" in answer["cache"]["note"]


async def test_scores_of_two_model_versions_are_not_mixed(service: RunningService) -> None:
    old = await service.state.cache.generations.active_or_open("us", 99)
    answer = (await service.client.post("/score", json={"pairs": [pair()]})).json()
    assert answer["results"][0]["cached"] is False
    assert "model version 99" in answer["cache"]["note"]
    active = await service.state.cache.generations.active("us")
    assert active == old


async def test_a_text_that_was_cut_is_told(service: RunningService) -> None:
    pairs = [pair(title="word " * 150), pair(query="word " * 150), pair()]
    answer = (await service.client.post("/score", json={"pairs": pairs})).json()
    assert [result["truncated"] for result in answer["results"]] == [["product"], ["query"], []]
    assert "explanation" not in answer["results"][0]


async def test_explanations_are_given_where_asked_for(service: RunningService) -> None:
    pairs = [pair(), pair(title="a sofa"), pair()]
    plain = (await service.client.post("/score", json={"pairs": pairs})).json()
    answer = (await service.client.post("/score", json={"pairs": pairs, "explain": True})).json()
    for result, expected in zip(answer["results"], plain["results"], strict=True):
        assert result["score"] == pytest.approx(expected["score"], abs=1e-6)
        weights = result["explanation"]["adapters"]
        assert list(weights) == ["us", "es", "jp"]
        assert sum(weights.values()) == pytest.approx(1.0, abs=1e-5)
        assert all(
            sum(layer.values()) == pytest.approx(1.0, abs=1e-5) for layer in result["explanation"]["layers"]
        )
    assert answer["results"][0]["explanation"] == answer["results"][2]["explanation"]
    assert answer["results"][0]["explanation"] != answer["results"][1]["explanation"]


async def test_too_many_explanations_are_refused(tiny_store: Path, tmp_path: Path) -> None:
    async with running_service(settings_for(tiny_store, tmp_path, max_explained_pairs=2)) as service:
        body = {"pairs": [pair()] * 3, "explain": True}
        response = await service.client.post("/score", json=body)
    assert response.status_code == 422
    assert "field 'explain': 3 pairs; at most 2 (MAX_EXPLAINED_PAIRS)" in response.json()["detail"]


async def test_a_flood_is_refused_and_may_come_again(tiny_store: Path, tmp_path: Path) -> None:
    async with running_service(settings_for(tiny_store, tmp_path, max_waiting_tokens=1)) as service:
        bodies = [
            {"pairs": [pair(title=f"{n} {k} " * 30) for k in range(40)], "write_cache": False} for n in range(8)
        ]
        answers = await asyncio.gather(*(service.client.post("/score", json=body) for body in bodies))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert refused[0].json()["error"] == "overloaded"
        assert int(refused[0].headers["retry-after"]) >= 1
        assert (await service.client.post("/score", json=bodies[0])).status_code == 200
