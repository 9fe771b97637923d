from __future__ import annotations

import pytest

from tests.support.service.candidate_files import title_of
from tests.support.service.running import RunningService, pair

pytestmark = pytest.mark.anyio

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
