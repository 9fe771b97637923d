"""Errors of the routes of other servers' shapes name the field that was sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.service.running import RunningService

pytestmark = pytest.mark.anyio


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
