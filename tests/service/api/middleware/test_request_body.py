from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator

import pytest

from tests.support.service.running import RunningService, pair

pytestmark = pytest.mark.anyio
_LIMIT = 200_000
_BODY = json.dumps({"pairs": [pair("ｃafé 2 m", "テレビ")]}, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.shop+json"]
)
async def test_every_way_to_say_json_is_understood(service: RunningService, kind: str) -> None:
    response = await service.client.post("/score", content=_BODY, headers={"Content-Type": kind})
    assert response.status_code == 200


@pytest.mark.parametrize("kind", ["text/json", "text/plain", "application/x-ndjson", "application/xml"])
async def test_other_kinds_are_named_and_refused(service: RunningService, kind: str) -> None:
    response = await service.client.post("/score", content=_BODY, headers={"Content-Type": kind})
    assert response.status_code == 415
    assert repr(kind) in response.json()["detail"]


@pytest.mark.parametrize(("length", "status"), [(_LIMIT, 200), (_LIMIT + 1, 413)])
async def test_the_limit_itself_is_accepted_announced_or_not(
    service: RunningService, length: int, status: int
) -> None:
    body = _BODY.ljust(length)

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, length, 65_536):
            yield body[start : start + 65_536]

    for content in (body, parts()):
        response = await service.client.post("/score", content=content)
        assert response.status_code == status


@pytest.mark.parametrize(
    "body", [b"\xef\xbb\xbf" + _BODY, _BODY.decode().encode("utf-16"), gzip.compress(_BODY, mtime=0)]
)
async def test_another_encoding_than_utf_8_is_a_400(service: RunningService, body: bytes) -> None:
    response = await service.client.post("/score", content=body)
    assert response.status_code == 400
    assert "not valid JSON in UTF-8" in response.json()["detail"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x-gzip"])
@pytest.mark.parametrize("path", ["/score", "/rank", "/score/stream", "/rerank", "/cache/us/lookup"])
async def test_a_compressed_body_is_refused_as_such(service: RunningService, path: str, coding: str) -> None:
    body = gzip.compress(b'{"pairs": []}')
    headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
    answer = await service.client.post(path, content=body, headers=headers)
    assert answer.status_code == 415
    assert "without Content-Encoding" in answer.json()["detail"]
    assert answer.headers["accept-encoding"] == "identity"
