from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError
from service.app import create_app
from tests.support.service.running import RunningService, pair, running_service, settings_for

pytestmark = pytest.mark.anyio

KEY, OTHER, ADMIN = "k" * 20, "o" * 20, "a" * 20


@pytest.fixture
async def service(tiny_store: Path, tmp_path: Path) -> AsyncIterator[RunningService]:
    settings = settings_for(tiny_store, tmp_path, api_keys=f"{KEY}, {OTHER}", admin_keys=ADMIN)
    async with running_service(settings) as running:
        yield running


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "there is no key"),
        (bearer("x" * 20), "the key is unknown"),
        (bearer(""), "the key is unknown"),
        (bearer(KEY[:-1]), "the key is unknown"),
        ({"Authorization": f"Basic {KEY}"}, "there is no key"),
    ],
)
async def test_without_a_known_key_nothing_is_scored(
    service: RunningService, headers: dict[str, str], detail: str
) -> None:
    response = await service.client.post("/score", json={"pairs": [pair()]}, headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"] == "unauthorized"
    assert detail in response.json()["detail"]
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize("key", [KEY, OTHER, ADMIN])
async def test_each_key_scores(service: RunningService, key: str) -> None:
    response = await service.client.post("/score", json={"pairs": [pair()]}, headers=bearer(key))
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"])
async def test_health_figures_and_documentation_are_open(service: RunningService, path: str) -> None:
    assert (await service.client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/model/versions"),
        ("POST", "/model/reload"),
        ("POST", "/compare"),
        ("DELETE", "/admin/cache/us/products?product=p1"),
    ],
)
async def test_administration_takes_a_key_of_its_own(service: RunningService, method: str, path: str) -> None:
    body = {"pairs": [pair()], "versions": [1]}
    refused = await service.client.request(method, path, json=body, headers=bearer(KEY))
    assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
    assert (await service.client.request(method, path, json=body, headers=bearer(ADMIN))).status_code == 200
    assert (await service.client.get("/model", headers=bearer(KEY))).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "shop.example"])  # noqa: S104 - what must be refused
def test_a_service_that_others_can_reach_needs_a_key(tiny_store: Path, tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"setting API_KEYS: HOST .* can be reached by others"):
        create_app(settings_for(tiny_store, tmp_path, host=host))
    create_app(settings_for(tiny_store, tmp_path, host=host, api_keys=KEY))


def test_in_a_container_the_address_that_is_published_counts(tiny_store: Path, tmp_path: Path) -> None:
    inside = "0.0.0.0"  # noqa: S104 - of a container
    create_app(settings_for(tiny_store, tmp_path, host=inside, published_host="127.0.0.1"))
    with pytest.raises(ConfigurationError, match=r"setting API_KEYS: PUBLISHED_HOST 10\.0\.0\.7 can be reached"):
        create_app(settings_for(tiny_store, tmp_path, host="127.0.0.1", published_host="10.0.0.7"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_on_this_machine_alone_no_key_is_needed(tiny_store: Path, tmp_path: Path, host: str) -> None:
    create_app(settings_for(tiny_store, tmp_path, host=host))
