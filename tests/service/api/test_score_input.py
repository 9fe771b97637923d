from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.support.service.running import RunningService, pair

pytestmark = pytest.mark.anyio
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
