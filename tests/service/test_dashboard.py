from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support import REPOSITORY
from tests.support.service.running import pair, running_service, settings_for

pytestmark = pytest.mark.anyio

DASHBOARD = REPOSITORY / "deploy" / "grafana" / "relevance.json"


async def test_every_query_asks_for_figures_and_labels_that_there_are(tiny_store: Path, tmp_path: Path) -> None:
    async with running_service(settings_for(tiny_store, tmp_path)) as service:
        scorer = service.state.model.required_scorer()
        scorer.manifest = scorer.manifest.model_copy(update={"score_histograms": {"us": [1] * 20}})
        pairs = [pair(title=f"title {place}", product_id=str(place)) for place in range(600)]
        for start in range(0, 600, 50):
            await service.client.post("/score", json={"pairs": pairs[start : start + 50]})
        await service.client.get("/cache/us", params={"query": "usb c cable"})
        await service.client.get("/nowhere")
        text = (await service.client.get("/metrics")).text
    labels: dict[str, set[str]] = {}
    for name, found in re.findall(r"^(relevance_\w+)(?:\{(.*)\})? ", text, re.MULTILINE):
        labels.setdefault(name, set()).update(re.findall(r"(\w+)=", found))
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [
        (target["expr"], target["legendFormat"]) for panel in dashboard["panels"] for target in panel["targets"]
    ]
    assert len(queries) > 20
    for query, legend in queries:
        names = re.findall(r"relevance_\w+", query)
        assert names
        assert set(names) <= labels.keys(), query
        grouped = [label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")]
        shown = re.findall(r"\{\{(\w+)\}\}", legend)
        assert {*grouped, *shown} <= set.union(*(labels[name] for name in names)), query
