from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.service.running import RunningService, pair, running_service, settings_for
from tests.support.service.watched_fill import title_of

pytestmark = pytest.mark.anyio

TYPE = {"content-type": "application/x-ndjson"}


@pytest.fixture
async def service(tiny_store: Path, tmp_path: Path) -> AsyncIterator[RunningService]:
    settings = settings_for(tiny_store, tmp_path, stream_chunk_pairs=7, max_body_bytes=5000)
    async with running_service(settings) as running:
        yield running


def lines(items: list[object]) -> str:
    return "\n".join(item if isinstance(item, str) else json.dumps(item) for item in items)


async def streamed(service: RunningService, content: str | bytes, **options: Any) -> list[dict[str, Any]]:
    response = await service.client.post("/score/stream", content=content, headers=TYPE, **options)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def test_every_line_gets_its_score_in_order(service: RunningService) -> None:
    pairs = [pair("asked", title_of(place), product_id=str(place)) for place in range(50)]
    found = await streamed(service, lines([*pairs]))
    whole = (await service.client.post("/score", json={"pairs": pairs[:10]})).json()["results"]
    assert [item["line"] for item in found] == list(range(1, 51))
    assert [item["score"] for item in found[:10]] == pytest.approx([item["score"] for item in whole], abs=1e-5)
    assert {item["model_version"] for item in found} == {1}
    assert any(item["cached"] for item in found)


async def test_a_wrong_line_is_answered_by_an_error_of_its_own(service: RunningService) -> None:
    content = lines(
        [
            pair(),
            "",
            "{broken",
            {**pair(), "marketplace": "xx"},
            {"query": "a"},
            pair(query=" "),
            '{"marketplace": "us", "query": "a", "product": {"id": "1", "title": "\\ud800"}}',
            pair(),
        ]
    )
    found = await streamed(service, content)
    assert [item["line"] for item in found] == [1, 3, 4, 5, 6, 7, 8]
    errors = [item.get("error") for item in found]
    assert errors == [
        None,
        "malformed_request",
        "invalid_field",
        "invalid_field",
        "invalid_field",
        "malformed_request",
        None,
    ]
    assert "known are us, es, jp" in found[2]["detail"]
    assert "field 'marketplace'" in found[3]["detail"]
    assert found[0]["score"] == found[-1]["score"]


async def test_nothing_is_cached_where_that_is_asked_for(service: RunningService) -> None:
    await streamed(service, lines([pair(title=f"{n}") for n in range(20)]), params={"write_cache": "false"})
    found = (await service.client.get("/cache/us", params={"query": "usb c cable"})).json()
    assert found["status"] == "never_scored"


async def test_answers_come_while_the_body_is_still_sent(service: RunningService) -> None:
    """Bounded memory: the service takes the next lines only after it has given scores back."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for place in range(400):
            sent = place
            yield lines([pair(title=f"title {place}"), ""]).encode()
            await asyncio.sleep(0)

    seen: list[int] = []
    send = service.state.batching.score

    async def noted(*arguments: Any, **options: Any) -> Any:
        seen.append(sent)
        return await send(*arguments, **options)

    service.state.batching.score = noted  # type: ignore[method-assign]
    response = await service.client.post("/score/stream", content=body(), headers=TYPE)
    assert len(response.text.splitlines()) == 400
    assert seen[0] < 10
    assert seen == sorted(seen)
    assert len(seen) == 58


async def test_a_line_without_end_is_refused(service: RunningService) -> None:
    found = await streamed(service, lines([pair()]) + "\n" + "x" * 6000)
    assert "score" in found[0]
    assert len(found) == 2
    assert found[-1]["error"] == "stream_ended"
    assert "more than 5000 bytes (MAX_BODY_BYTES)" in found[-1]["detail"]


async def test_lines_may_be_cut_anywhere(service: RunningService) -> None:
    content = lines([pair(title=f"title {place}") for place in range(5)]).encode()

    async def bytewise() -> AsyncIterator[bytes]:
        for place in range(len(content)):
            yield content[place : place + 1]

    response = await service.client.post("/score/stream", content=bytewise(), headers=TYPE)
    found = [json.loads(line) for line in response.text.splitlines()]
    whole = await streamed(service, content)
    assert [(item["line"], item["score"]) for item in found] == [(item["line"], item["score"]) for item in whole]


async def test_an_empty_stream_is_an_empty_answer(service: RunningService) -> None:
    assert await streamed(service, b"\n\n") == []


async def test_other_content_is_refused(service: RunningService) -> None:
    response = await service.client.post("/score/stream", content="a", headers={"content-type": "text/csv"})
    assert response.status_code == 415
