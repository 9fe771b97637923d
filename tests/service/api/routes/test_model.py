from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from model_store.versions.manifest import PlainProbeChange, PlainProbeResult
from model_store.versions.store import ModelStore
from tests.support.service.running import (
    RunningService,
    exact_scorer,
    pair,
    running_service,
    settings_for,
    with_probes,
)
from tests.support.tiny_model import build_tiny_store, publish_tiny_version

pytestmark = pytest.mark.anyio


async def test_the_model_tells_its_marketplaces_and_thresholds(service: RunningService) -> None:
    answer = (await service.client.get("/model")).json()
    assert answer["model_version"] == 1
    assert answer["device"] == "cpu"
    thresholds = {entry["name"]: entry["threshold"] for entry in answer["marketplaces"]}
    assert thresholds == {"us": 0.5, "es": 0.5, "jp": None}


async def test_the_model_tells_what_it_ranks_right_of_the_plain_probes(service: RunningService) -> None:
    scorer = service.state.model.required_scorer()
    found = {
        name: PlainProbeResult(language="en", probes=40, digest="d", share=share, untrained=0.8)
        for name, share in (("us", 0.9), ("es", 0.7))
    }
    changes = {
        "us": PlainProbeChange(against="parent", previous=0.95, now=0.9, change=-0.05),
        "es": PlainProbeChange(against="untrained", previous=0.8, now=0.7, change=-0.1),
    }
    promotion = scorer.manifest.promotion.model_copy(update={"plain_probes": changes})
    scorer.manifest = scorer.manifest.model_copy(update={"plain_probes": found, "promotion": promotion})
    summary = {
        entry["name"]: entry["plain_probes"]
        for entry in (await service.client.get("/model")).json()["marketplaces"]
    }
    assert summary == {
        "us": {"probes": 40, "share": 0.9, "parent": 0.95, "untrained": 0.8},
        "es": {"probes": 40, "share": 0.7, "parent": None, "untrained": 0.8},
        "jp": None,
    }


ASKED = {"pairs": [pair(title=f"title {place}") for place in range(6)], "write_cache": False}
# The loading thread needs its share of the interpreter; a client that asks without a pause leaves it none.
_POLL_SECONDS = 0.02


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return build_tiny_store(tmp_path, ("us", "es"))


@pytest.fixture
async def reloading(store: Path, tmp_path: Path) -> AsyncIterator[RunningService]:
    async with running_service(settings_for(store, tmp_path, reload_interval_seconds=0.02)) as running:
        yield running


def publish(store: Path, seed: int = 1) -> int:
    encoder = store.parent / "encoder"
    return publish_tiny_version(store, encoder, ("us", "es"), seed=seed, parent=1).number


async def served(reloading: RunningService) -> int:
    return int((await reloading.client.get("/model")).json()["model_version"])


async def served_in_the_end(reloading: RunningService, number: int) -> None:
    async with asyncio.timeout(30):
        while await served(reloading) != number:
            await asyncio.sleep(_POLL_SECONDS)


async def test_a_new_version_is_picked_up_by_itself(reloading: RunningService, store: Path) -> None:
    before = (await reloading.client.post("/score", json=ASKED)).json()
    assert publish(store) == 2
    await served_in_the_end(reloading, 2)
    after = (await reloading.client.post("/score", json=ASKED)).json()
    assert (before["model_version"], after["model_version"]) == (1, 2)
    assert before["results"] != after["results"]


async def test_a_broken_version_leaves_the_old_one_serving_and_says_so(
    reloading: RunningService, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(store)
    head = store / "versions" / "0002" / "head.safetensors"
    whole = head.read_bytes()
    head.write_bytes(whole[:-1])
    answer = (await reloading.client.post("/model/reload")).json()
    assert answer["model_version"] == 1
    assert str(head) in answer["refused"]
    ready = await reloading.client.get("/readyz")
    assert ready.status_code == 200
    assert str(head) in ready.json()["refused"]
    figures = (await reloading.client.get("/metrics")).text
    assert "relevance_model_refused 1.0" in figures
    assert "relevance_model_version 1.0" in figures
    assert re.search(r"relevance_model_load_failures_total [1-9]", figures)
    assert f"version 2 is refused, version 1 keeps serving: {answer['refused']}" in caplog.messages
    assert (await reloading.client.post("/score", json=ASKED)).json()["model_version"] == 1
    head.write_bytes(whole)
    mended = (await reloading.client.post("/model/reload")).json()
    assert mended == {"model_version": 2, "previous_version": 1, "refused": None}
    assert (await reloading.client.get("/readyz")).json()["refused"] is None


async def test_a_version_that_scores_otherwise_than_published_is_not_served(
    reloading: RunningService, store: Path
) -> None:
    probes = with_probes(exact_scorer(store), change=0.2).manifest.probe_pairs
    encoder = store.parent / "encoder"
    publish_tiny_version(store, encoder, ("us", "es"), parent=1, probe_pairs=probes)
    answer = (await reloading.client.post("/model/reload")).json()
    assert answer["model_version"] == 1
    assert "scores its 4 probe pairs 0.200 apart from what was published" in answer["refused"]


async def test_a_rollback_serves_the_version_before(reloading: RunningService, store: Path) -> None:
    publish(store)
    await reloading.client.post("/model/reload")
    answer = (await reloading.client.post("/model/rollback")).json()
    assert answer == {"model_version": 1, "previous_version": 2, "refused": None}
    assert ModelStore(store).latest() == 1
    refused = await reloading.client.post("/model/rollback")
    assert refused.status_code == 409
    assert "no earlier promoted version" in refused.json()["detail"]
    assert await served(reloading) == 1


async def test_the_versions_are_told_and_damaged_ones_named(reloading: RunningService, store: Path) -> None:
    publish(store)
    publish(store, seed=2)
    await served_in_the_end(reloading, 3)
    (store / "versions" / "0002" / "manifest.json").write_text("{}")
    answer = (await reloading.client.get("/model/versions")).json()
    found = {item["model_version"]: item for item in answer["versions"]}
    assert list(found) == [3, 1]
    assert (found[3]["served"], found[3]["newest"], found[1]["served"]) == (True, True, False)
    assert found[1]["marketplaces"] == ["us", "es"]
    assert len(answer["damaged"]) == 1
    assert "0002" in answer["damaged"][0]


@pytest.mark.parametrize("reloads", [6, pytest.param(50, marks=pytest.mark.long)])
async def test_no_request_fails_or_mixes_versions_while_models_change(
    reloading: RunningService, store: Path, reloads: int
) -> None:
    """Under load, each answer's scores are those of the one version that it names."""
    publish(store)
    expected: dict[int, list[float]] = {}
    for number in (1, 2):
        body = {"pairs": ASKED["pairs"], "versions": [number]}
        expected[number] = (await reloading.client.post("/compare", json=body)).json()["versions"][0]["scores"]
    assert expected[1] != pytest.approx(expected[2], abs=1e-3)
    answers: list[tuple[int, list[float]]] = []
    stopped = False

    async def client() -> None:
        while not stopped:
            response = await reloading.client.post("/score", json=ASKED)
            assert response.status_code == 200
            answer = response.json()
            answers.append((answer["model_version"], [item["score"] for item in answer["results"]]))

    clients = [asyncio.create_task(client()) for _ in range(4)]
    versions = ModelStore(store)
    for number in range(reloads):
        wanted = 1 + number % 2
        versions.promote(wanted)
        assert (await reloading.client.post("/model/reload")).json()["model_version"] == wanted
    stopped = True
    await asyncio.gather(*clients)
    assert {version for version, _ in answers} == {1, 2}
    for version, scores in answers:
        assert scores == pytest.approx(expected[version], abs=1e-4)


async def test_the_pairs_that_are_stored_with_the_version_can_be_tried(service: RunningService) -> None:
    with_probes(service.state.model.required_scorer())
    found = (await service.client.get("/examples/us")).json()
    assert found["model_version"] == 1
    assert [item["product_title"] for item in found["examples"]] == ["cable 0", "cable 1"]
    assert {item["query"] for item in found["examples"]} == {"usb cable"}
    assert (await service.client.get("/examples/jp")).json()["examples"] == []


async def test_an_unknown_marketplace_is_named(service: RunningService) -> None:
    refused = await service.client.get("/examples/xx")
    assert refused.status_code == 422
    assert "known are us, es, jp" in refused.json()["detail"]
