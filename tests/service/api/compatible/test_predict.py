from __future__ import annotations

import pytest

from tests.support.service.running import RunningService, pair

pytestmark = pytest.mark.anyio

US = {"X-Marketplace": "us"}


async def native(service: RunningService, *pairs: tuple[str, str]) -> list[float]:
    body = {"pairs": [pair(query, title) for query, title in pairs], "write_cache": False}
    return [item["score"] for item in (await service.client.post("/score", json=body)).json()["results"]]


async def test_tei_predict_takes_one_pair_or_several(service: RunningService) -> None:
    expected = await native(service, ("usb", "a cable"), ("tea", "a sofa"))
    one = (await service.client.post("/predict", json={"inputs": ["usb", "a cable"]}, headers=US)).json()
    assert one == [{"score": pytest.approx(expected[0], abs=1e-5), "label": "relevant"}]
    body = {"inputs": [["usb", "a cable"], ["tea", "a sofa"]], "truncate": True}
    several = (await service.client.post("/predict", json=body, headers=US)).json()
    assert [item[0]["score"] for item in several] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("inputs", "field"),
    [("usb", "inputs"), (["a"], "inputs"), ([["a", "b"], ["c"]], "inputs[1]"), ([], "inputs")],
)
async def test_what_is_no_pair_is_refused(service: RunningService, inputs: object, field: str) -> None:
    response = await service.client.post("/predict", json={"inputs": inputs}, headers=US)
    assert response.status_code == 422
    assert f"'{field}'" in response.json()["detail"]


@pytest.mark.parametrize(
    ("first", "second", "pairs"),
    [
        ("usb", "a cable", [("usb", "a cable")]),
        ("usb", ["a cable", "a sofa"], [("usb", "a cable"), ("usb", "a sofa")]),
        (["usb", "tea"], ["a cable", "a sofa"], [("usb", "a cable"), ("tea", "a sofa")]),
        (["usb", "tea"], "a sofa", [("usb", "a sofa"), ("tea", "a sofa")]),
    ],
)
async def test_vllm_score(
    service: RunningService, first: object, second: object, pairs: list[tuple[str, str]]
) -> None:
    body = {"model": "m:us", "text_1": first, "text_2": second}
    answer = (await service.client.post("/v1/score", json=body)).json()
    assert answer["object"] == "list"
    assert [item["index"] for item in answer["data"]] == list(range(len(pairs)))
    assert [item["score"] for item in answer["data"]] == pytest.approx(await native(service, *pairs), abs=1e-5)


async def test_lists_of_different_lengths_are_refused(service: RunningService) -> None:
    body = {"model": "m:us", "text_1": ["a", "b"], "text_2": ["a", "b", "c"]}
    response = await service.client.post("/v1/score", json=body)
    assert response.status_code == 422
    assert "2 texts against 3" in response.json()["detail"]
