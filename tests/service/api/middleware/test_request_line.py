"""Prefixes of proxies, HEAD, and query strings that are not UTF-8."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.service.running import RunningService, pair, running_service, settings_for

pytestmark = pytest.mark.anyio

GETS = ("/healthz", "/readyz", "/metrics", "/", "/docs", "/openapi.json", "/cache/us?query=lamp", "/model")


@pytest.mark.parametrize("path", GETS)
async def test_head_is_get_without_a_body(service: RunningService, path: str) -> None:
    got, head = await service.client.get(path), await service.client.head(path)
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]
    assert int(head.headers["content-length"]) > 0


async def test_head_is_refused_where_get_is_and_named_where_it_may_be(service: RunningService) -> None:
    refused = await service.client.head("/score")
    assert (refused.status_code, refused.headers["allow"], refused.content) == (405, "POST", b"")
    assert (await service.client.head("/nowhere")).status_code == 404
    assert (await service.client.delete("/healthz")).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/cache/us?query=caf%E9", "query"),
        ("/cache/us?query=lamp&limit=%FF", "limit"),
        ("/cache/us?query=%ED%A0%80", "query"),
        ("/cache/us?query=%C3", "query"),
        ("/cache/caf%E9?query=lamp", "path"),
        ("/score/stream?write_cache=%80", "write_cache"),
        ("/healthz?%FF=1", "%FF"),
    ],
)
async def test_what_is_not_utf_8_is_refused_by_its_field(service: RunningService, path: str, field: str) -> None:
    answer = await service.client.request("POST" if "stream" in path else "GET", path)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"field {field!r}: it is not UTF-8")
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


@given(content=st.binary(min_size=1, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_of_a_query_are_looked_up_or_refused(content: bytes) -> None:
    from service.api.middleware.request_line import _broken_field

    scope = {"query_string": b"query=" + quote_from_bytes(content, safe="").encode(), "raw_path": b"/cache/us"}
    try:
        content.decode()
    except UnicodeDecodeError:
        assert _broken_field(scope) == "query"
    else:
        assert _broken_field(scope) is None


@pytest.mark.parametrize("query", ["café", "usb-c 2 m", "テレビ", "a+b=c&d", "100 %"])
async def test_other_queries_are_looked_up_as_they_are(service: RunningService, query: str) -> None:
    answer = await service.client.get(f"/cache/us?query={quote(query, safe='')}")
    assert (answer.status_code, answer.json()["query"]) == (200, query)


@pytest.mark.parametrize("stripped", [True, False])
@pytest.mark.parametrize("how", ["setting", "header"])
async def test_behind_a_proxy_links_have_its_prefix(
    tiny_store: Path, tmp_path: Path, stripped: bool, how: str
) -> None:
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (jobs / "a.tsv").write_text("query\tproduct_id\tproduct_title\nlamp\t1\tlamp\n")
    changes = {"root_path": "/shop/relevance"} if how == "setting" else {}
    headers = {"X-Forwarded-Prefix": "/shop/relevance/"} if how == "header" else {}
    keys = {"api_keys": "a" * 16, "admin_keys": "b" * 16}
    configured = settings_for(
        tiny_store, tmp_path, jobs_folder=jobs, fill_folder=tmp_path / "fills", **changes, **keys
    )
    async with running_service(configured) as service:
        client, before = service.client, "" if stripped else "/shop/relevance"
        client.headers.update({**headers, "Authorization": f"Bearer {'b' * 16}"})
        assert (await client.get(f"{before}/healthz")).status_code == 200
        assert (await client.post(f"{before}/score", json={"pairs": [pair()]})).status_code == 200
        document = (await client.get(f"{before}/openapi.json")).json()
        assert document["servers"] == [{"url": "/shop/relevance"}]
        page = (await client.get(f"{before}/docs")).text
        assert "/shop/relevance/openapi.json" in page
        assert "/shop/relevance/docs/files/swagger-ui-bundle.js" in page
        files = await client.get(f"{before}/docs/files/swagger-ui.css")
        assert files.status_code == 200
        begun = await client.post(f"{before}/jobs/fill", json={"marketplace": "us", "candidates": ["a.tsv"]})
        assert begun.headers["location"] == f"/shop/relevance/jobs/{begun.json()['id']}"
        # Who has no key of administration has none under the prefix either.
        weak = {"Authorization": f"Bearer {'a' * 16}"}
        for path in ("/admin/cache/us/generations", "/model/versions"):
            assert (await client.get(f"{before}{path}", headers=weak)).status_code == 403
            assert (await client.get(f"{before}{path}", headers={"Authorization": ""})).status_code == 401


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "/a b", "javascript:", "/<script>", "/a/../b?", "/" + "a" * 300]
)
async def test_a_prefix_that_could_do_harm_is_not_believed(service: RunningService, prefix: str) -> None:
    page = await service.client.get("/docs", headers={"X-Forwarded-Prefix": prefix})
    assert page.status_code == 200
    assert prefix not in page.text
