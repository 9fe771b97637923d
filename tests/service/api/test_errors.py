from __future__ import annotations

import pytest

from service.api.errors import field_path
from tests.support.service.running import RunningService

pytestmark = pytest.mark.anyio


async def test_an_unknown_path_and_method_have_the_one_shape(service: RunningService) -> None:
    for response, code in (
        (await service.client.get("/nothing"), "not_found"),
        (await service.client.get("/score"), "method_not_allowed"),
    ):
        answer = response.json()
        assert set(answer) == {"error", "detail", "type", "request_id"}
        assert answer["error"] == code
        assert answer["request_id"] == response.headers["X-Request-ID"]


async def test_a_callers_request_id_is_kept_only_if_harmless(service: RunningService) -> None:
    kept = await service.client.get("/healthz", headers={"X-Request-ID": "trace-1"})
    made = await service.client.get("/healthz", headers={"X-Request-ID": "no spaces please"})
    assert kept.headers["X-Request-ID"] == "trace-1"
    assert len(made.headers["X-Request-ID"]) == 32


async def test_openapi_describes_bodies_examples_and_errors(service: RunningService) -> None:
    schema = (await service.client.get("/openapi.json")).json()
    post = schema["paths"]["/score"]["post"]
    assert "ScoreRequest" in str(post["requestBody"])
    assert {"200", "400", "413", "422", "503"} <= set(post["responses"])
    assert all("ErrorAnswer" in str(post["responses"][status]) for status in ("400", "413", "422", "503"))
    assert schema["components"]["schemas"]["PairBody"]["properties"]["query"]["examples"]


def test_field_paths_read_like_code() -> None:
    assert field_path(("body", "pairs", 3, "query")) == "pairs[3].query"
    assert field_path(("query", "query")) == "query"
    assert field_path(("body",)) == "body"
