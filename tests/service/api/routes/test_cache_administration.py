from __future__ import annotations

import pytest

from service.cache.store import QueryScores
from tests.support.service.running import RunningService

pytestmark = pytest.mark.anyio


async def fill(service: RunningService, **kept: float) -> int:
    cache = service.state.cache
    built = await cache.generations.create("us", 1, "fill", "building")
    await cache.merge(built, [QueryScores("tea", dict(kept))])
    return (await cache.generations.activate(built, 1, len(kept))).number


async def products(service: RunningService) -> list[str]:
    answer = (await service.client.get("/cache/us", params={"query": "tea"})).json()
    return [product["id"] for product in answer["products"]]


async def test_generations_are_listed_rolled_back_and_removed(service: RunningService) -> None:
    first, second = await fill(service, a=0.9), await fill(service, b=0.9)
    listed = (await service.client.get("/admin/cache/us/generations")).json()["generations"]
    assert [(one["generation"], one["active"], one["previous"]) for one in listed] == [
        (second, True, first),
        (first, False, None),
    ]
    refused = await service.client.delete(f"/admin/cache/us/generations/{second}")
    assert (refused.status_code, "is the one that is read" in refused.json()["detail"]) == (422, True)
    assert (await service.client.post("/admin/cache/us/rollback")).json()["generation"] == first
    assert await products(service) == ["a"]
    assert (await service.client.delete(f"/admin/cache/us/generations/{second}")).status_code == 200
    again = await service.client.delete(f"/admin/cache/us/generations/{second}")
    assert (again.status_code, "has no generation 2" in again.json()["detail"]) == (422, True)


async def test_a_product_is_taken_off_sale_and_put_back(service: RunningService) -> None:
    await fill(service, a=0.9, b=0.8)
    removed = await service.client.delete("/admin/cache/us/products", params={"product": "a"})
    assert removed.json() == {"removed_from": 1}
    assert await products(service) == ["b"]
    await fill(service, a=0.9, b=0.8)
    assert await products(service) == ["b"]
    assert (await service.client.put("/admin/cache/us/products", params={"product": "a"})).status_code == 200
    await fill(service, a=0.9, b=0.8)
    assert await products(service) == ["a", "b"]


async def test_a_query_is_forgotten(service: RunningService) -> None:
    await fill(service, a=0.9)
    await fill(service, a=0.9)
    removed = await service.client.delete("/admin/cache/us/queries", params={"query": "TEA"})
    assert removed.json() == {"removed_from": 2}
    answer = (await service.client.get("/cache/us", params={"query": "tea"})).json()
    assert answer["status"] == "never_scored"
