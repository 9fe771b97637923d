from __future__ import annotations

import pytest

from model_store.versions.manifest import PlainProbeChange, PlainProbeResult
from tests.support.service.running import RunningService

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
