from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis import Redis

from tests.support.service.running import RunningService, pair, running_service, settings_for
from tests.support.service.watched_fill import title_of

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


TITLES = tuple(title_of(place) for place in (0, 1, 2, 3, 0, 5, 6, 7, 8, 9, 10, 11))
PRODUCTS = [{"id": f"p{place}", "title": title} for place, title in enumerate(TITLES)]
ASKED = {"marketplace": "us", "query": "asked", "products": PRODUCTS}


async def test_products_come_best_first_with_the_scores_of_score(service: RunningService) -> None:
    pairs = [pair("asked", title, product_id=f"p{place}") for place, title in enumerate(TITLES)]
    scored = (await service.client.post("/score", json={"pairs": pairs})).json()["results"]
    ranked = (await service.client.post("/rank", json=ASKED)).json()["results"]
    scores = [item["score"] for item in ranked]
    assert scores == sorted(scores, reverse=True)
    assert sorted(item["index"] for item in ranked) == list(range(len(TITLES)))
    for item in ranked:
        assert item["id"] == f"p{item['index']}"
        assert item["score"] == pytest.approx(scored[item["index"]]["score"], abs=1e-5)
    twins = [item["index"] for item in ranked if item["index"] in (0, 4)]
    assert twins == [0, 4]


async def test_the_answer_can_be_shortened_but_everything_relevant_is_cached(service: RunningService) -> None:
    whole = (await service.client.post("/rank", json={**ASKED, "write_cache": False})).json()
    relevant = [item["id"] for item in whole["results"] if item["highly_relevant"]]
    assert 0 < len(relevant) < len(TITLES)
    top = (await service.client.post("/rank", json={**ASKED, "top_n": 1})).json()
    assert [item["id"] for item in top["results"]] == relevant[:1]
    assert top["cache"]["written"] == len(relevant)
    only = (await service.client.post("/rank", json={**ASKED, "only_highly_relevant": True})).json()
    assert [item["id"] for item in only["results"]] == relevant
    cached = (await service.client.get("/cache/us", params={"query": "asked"})).json()
    assert {item["id"] for item in cached["products"]} == set(relevant)


async def test_raw_scores_are_the_logits(service: RunningService) -> None:
    from math import exp

    plain = (await service.client.post("/rank", json=ASKED)).json()["results"]
    assert "raw_score" not in plain[0]
    for item in (await service.client.post("/rank", json={**ASKED, "raw_scores": True})).json()["results"]:
        assert item["score"] == pytest.approx(1 / (1 + exp(-item["raw_score"])), abs=1e-5)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"products": []}, "products"),
        ({"products": PRODUCTS * 7}, "products"),
        ({"query": " "}, "query"),
        ({"marketplace": "xx"}, "marketplace"),
        ({"top_n": 0}, "top_n"),
        ({"products": [{"id": "1", "title": "a"}, {"id": "2", "title": "\x00"}]}, "products[1].title"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_wrong_fields_are_named(service: RunningService, change: dict[str, object], field: str) -> None:
    response = await service.client.post("/rank", json={**ASKED, **change})
    assert response.status_code == 422
    assert f"'{field}'" in response.json()["detail"]


_JSON = {"Content-Type": "application/json"}


async def refused(service: RunningService, body: object, field: str) -> str:
    """The detail of a 422 that names `field`."""
    response = await service.client.post("/score", content=json.dumps(body), headers=_JSON)
    assert response.status_code == 422
    answer = response.json()
    assert set(answer) == {"error", "detail", "type", "request_id"}
    assert answer["error"] == "invalid_field"
    assert f"'{field}'" in answer["detail"]
    return str(answer["detail"])


@pytest.mark.parametrize("text", ["", "  \n ", "a\x00b", "a\ud800b", "x" * 1001])
async def test_a_bad_query_is_named(service: RunningService, text: str) -> None:
    await refused(service, {"pairs": [pair(), pair(), pair(), pair(query=text)]}, "pairs[3].query")


@pytest.mark.parametrize("text", ["", "　", "a\x00b", "\udfff", "x" * 1001])
async def test_a_bad_title_is_named(service: RunningService, text: str) -> None:
    await refused(service, {"pairs": [pair(title=text)]}, "pairs[0].product.title")


@pytest.mark.parametrize("text", ["", "a\x00b", "x" * 513])
async def test_a_bad_product_id_is_named(service: RunningService, text: str) -> None:
    await refused(service, {"pairs": [pair(product_id=text)]}, "pairs[0].product.id")


async def test_a_bad_optional_text_is_named(service: RunningService) -> None:
    body = {"marketplace": "us", "query": "q", "product": {"id": "1", "title": "t", "brand": "a\x00"}}
    await refused(service, {"pairs": [body]}, "pairs[0].product.brand")


async def test_an_unknown_marketplace_lists_the_known_ones(service: RunningService) -> None:
    detail = await refused(service, {"pairs": [pair(), pair(marketplace="fr")]}, "pairs[1].marketplace")
    assert "us, es, jp" in detail


@pytest.mark.parametrize("name", ["", "u s", "us*", "../us", "a\x00", "x" * 33])
async def test_what_is_no_marketplace_name_is_named(service: RunningService, name: str) -> None:
    detail = await refused(service, {"pairs": [pair(marketplace=name)]}, "pairs[0].marketplace")
    assert "us, es, jp" in detail


async def test_no_pairs_are_refused(service: RunningService) -> None:
    await refused(service, {"pairs": []}, "pairs")


async def test_too_many_pairs_are_refused(service: RunningService) -> None:
    assert "at most 50" in await refused(service, {"pairs": [pair()] * 51}, "pairs")


async def test_a_missing_field_is_named(service: RunningService) -> None:
    body = {"pairs": [pair(), {"marketplace": "us", "product": {"id": "1", "title": "t"}}]}
    await refused(service, body, "pairs[1].query")


async def test_a_field_of_the_wrong_type_is_named(service: RunningService) -> None:
    await refused(service, {"pairs": [{**pair(), "query": 7}]}, "pairs[0].query")


async def test_a_misspelt_option_is_named(service: RunningService) -> None:
    await refused(service, {"pairs": [pair()], "write_cahce": False}, "write_cahce")


async def test_a_list_instead_of_an_object_is_refused(service: RunningService) -> None:
    await refused(service, [pair()], "body")


async def test_an_empty_body_is_refused(service: RunningService) -> None:
    response = await service.client.post("/score", headers=_JSON)
    assert response.status_code == 422


async def test_unknown_fields_of_a_product_are_ignored(service: RunningService) -> None:
    body = {"marketplace": "us", "query": "q", "product": {"id": "1", "title": "t", "price": 9.5, "brand": None}}
    response = await service.client.post("/score", json={"pairs": [body]})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"pairs": NaN}',
        b'{"pairs": -Infinity}',
        b"[" * 100_000,
        b'{"pairs": ' + b"9" * 5000 + b"}",
    ],
)
async def test_what_is_not_json_is_a_400(service: RunningService, body: bytes) -> None:
    response = await service.client.post("/score", content=body, headers=_JSON)
    assert response.status_code == 400
    assert response.json()["error"] == "malformed_request"


async def test_a_large_body_is_refused_by_its_length(service: RunningService) -> None:
    response = await service.client.post("/score", content=b" " * 200_001, headers=_JSON)
    assert response.status_code == 413
    assert response.json()["error"] == "body_too_large"


async def test_a_body_of_unknown_length_is_refused_while_it_arrives(service: RunningService) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 10_000
            yield b" " * 10_000

    response = await service.client.post("/score", content=endless(), headers=_JSON)
    assert response.status_code == 413
    assert sent <= 220_000


async def test_another_content_type_is_a_415(service: RunningService) -> None:
    response = await service.client.post("/score", data={"pairs": "x"})
    assert response.status_code == 415
    assert "application/json" in response.json()["detail"]


async def test_json_without_a_content_type_is_read(service: RunningService) -> None:
    response = await service.client.post("/score", content=json.dumps({"pairs": [pair()]}))
    assert response.status_code == 200
