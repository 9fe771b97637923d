from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.service.running import RunningService, pair, running_service, settings_for

pytestmark = pytest.mark.anyio

TEXTS = ["usb c cable", "red sofa", "tea", "a 4k tv"]
ASKED = {"model": "relevance:us", "query": "usb c cable", "documents": TEXTS}


@pytest.fixture
async def scores(service: RunningService) -> list[float]:
    pairs = [pair(title=text, product_id=str(place)) for place, text in enumerate(TEXTS)]
    answer = (await service.client.post("/score", json={"pairs": pairs, "write_cache": False})).json()
    return [item["score"] for item in answer["results"]]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
async def test_cohere_and_jina(service: RunningService, scores: list[float], path: str) -> None:
    answer = (await service.client.post(path, json={**ASKED, "max_tokens_per_doc": None})).json()
    assert {"id", "model", "results", "usage", "meta"} <= answer.keys()
    assert answer["model"] == "relevance:us"
    found = [(item["index"], item["relevance_score"]) for item in answer["results"]]
    best_first = sorted(enumerate(scores), key=lambda item: -item[1])
    assert [index for index, _ in found] == [index for index, _ in best_first]
    assert [score for _, score in found] == pytest.approx([score for _, score in best_first], abs=1e-5)
    assert "document" not in answer["results"][0]
    assert answer["usage"]["total_tokens"] > 10
    assert answer["meta"]["api_version"]["version"] in ("1", "2")


async def test_top_n_and_documents(service: RunningService) -> None:
    objects = [{"text": text} for text in TEXTS]
    body = {**ASKED, "documents": objects, "top_n": 2, "return_documents": True}
    answer = (await service.client.post("/v1/rerank", json=body)).json()
    assert len(answer["results"]) == 2
    for item in answer["results"]:
        assert item["document"] == {"text": TEXTS[item["index"]]}
    more = (await service.client.post("/v1/rerank", json={**ASKED, "top_n": 99})).json()
    assert len(more["results"]) == len(TEXTS)


async def test_rank_fields_choose_what_is_read(service: RunningService, scores: list[float]) -> None:
    documents = [{"title": text, "note": "x"} for text in TEXTS]
    body = {**ASKED, "documents": documents, "rank_fields": ["title"]}
    answer = (await service.client.post("/v1/rerank", json=body)).json()
    assert answer["results"][0]["relevance_score"] == pytest.approx(max(scores), abs=1e-5)
    refused = await service.client.post("/v1/rerank", json={**ASKED, "documents": documents})
    assert refused.status_code == 422
    assert "'documents[0]'" in refused.json()["detail"]


async def test_tei(service: RunningService, scores: list[float]) -> None:
    body: dict[str, Any] = {"query": "usb c cable", "texts": TEXTS, "truncate": True}
    headers = {"X-Marketplace": "us"}
    answer = (await service.client.post("/rerank", json=body, headers=headers)).json()
    assert isinstance(answer, list)
    assert [item["score"] for item in answer] == pytest.approx(sorted(scores, reverse=True), abs=1e-5)
    assert "text" not in answer[0]
    body |= {"return_text": True, "raw_scores": True}
    raw = (await service.client.post("/rerank", json=body, headers=headers)).json()
    assert [item["index"] for item in raw] == [item["index"] for item in answer]
    assert all(item["text"] == TEXTS[item["index"]] for item in raw)
    assert [item["score"] for item in raw] != [item["score"] for item in answer]


async def test_nothing_is_cached(service: RunningService) -> None:
    await service.client.post("/rerank", json=ASKED)
    found = (await service.client.get("/cache/us", params={"query": "usb c cable"})).json()
    assert found["status"] == "never_scored"


async def test_long_documents_are_cut_not_refused(service: RunningService) -> None:
    body = {**ASKED, "documents": ["word " * 2000]}
    assert (await service.client.post("/rerank", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"documents": []}, "documents"),
        ({"documents": ["a", " "]}, "documents[1]"),
        ({"documents": None}, "documents"),
        ({"texts": ["a"]}, "documents"),
        ({"query": ""}, "query"),
        ({"model": "relevance:xx"}, "model"),
        ({"model": None}, "model"),
        ({"top_n": 0}, "top_n"),
        ({"documents": ["a"] * 51}, "documents"),
    ],
)
async def test_wrong_fields_are_named(service: RunningService, change: dict[str, object], field: str) -> None:
    response = await service.client.post("/rerank", json={**ASKED, **change})
    assert response.status_code == 422, response.text
    assert f"'{field}'" in response.json()["detail"]
    assert response.json()["error"] == "invalid_field"


async def test_the_marketplace_is_the_models_the_headers_or_the_configured_one(
    tiny_store: Path, tmp_path: Path
) -> None:
    async with running_service(settings_for(tiny_store, tmp_path, default_marketplace="jp")) as service:

        async def model(body: dict[str, object], headers: dict[str, str]) -> str:
            answer = await service.client.post("/rerank", json={**ASKED, **body}, headers=headers)
            return str(answer.json()["model"])

        assert await model({"model": "anything:es"}, {"X-Marketplace": "us"}) == "relevance:es"
        assert await model({"model": "rerank-v3.5"}, {"X-Marketplace": "us"}) == "relevance:us"
        assert await model({"model": "rerank-v3.5"}, {}) == "relevance:jp"


@pytest.fixture
async def service(tiny_store: Path, tmp_path: Path) -> AsyncIterator[RunningService]:
    async with running_service(settings_for(tiny_store, tmp_path, max_pairs=50)) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/rerank", {"query": "a", "texts": []}, "texts"),
        ("/rerank", {"query": "a", "documents": []}, "documents"),
        ("/v1/rerank", {"query": "a", "documents": ["b", None]}, "documents[1]"),
        ("/v2/rerank", {"query": "a", "documents": [{"text": 5}]}, "documents[0].text"),
        ("/rerank", {"query": "a", "texts": ["b", 5]}, "texts[1]"),
        ("/rerank", {"texts": ["b"]}, "query"),
        ("/predict", {"inputs": []}, "inputs"),
        ("/predict", {"inputs": None}, "inputs"),
        ("/predict", {"inputs": [["a", None]]}, "inputs[0][1]"),
        ("/predict", {}, "inputs"),
        ("/v1/score", {"text_1": "a", "text_2": []}, "text_2"),
        ("/v1/score", {"text_1": [], "text_2": "b"}, "text_1"),
        ("/v1/score", {"text_1": [], "text_2": []}, "text_1"),
        ("/v1/score", {"text_1": "a", "text_2": ["b", None]}, "text_2[1]"),
        ("/v1/score", {"text_1": "a", "text_2": {"a": 1}}, "text_2"),
    ],
)
async def test_the_field_is_the_one_that_was_sent(
    service: RunningService, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await service.client.post(path, json=body, headers={"X-Marketplace": "us"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"field {field!r}: ")
