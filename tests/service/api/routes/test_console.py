"""The files of the page for people; the page itself is tried in a browser (tests/integration/test_console.py)."""

from __future__ import annotations

import re

import pytest

from model_store.versions.plain_probes import all_plain_probes, plain_probes
from tests.support.service.running import RunningService

pytestmark = pytest.mark.anyio


async def test_the_page_and_all_that_it_asks_for_are_served(service: RunningService) -> None:
    page = (await service.client.get("/")).text
    script = (await service.client.get("/console/console.js")).text
    for name in re.findall(r"console/[a-z]+\.[a-z]+", page + script):
        answer = await service.client.get(f"/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert (await service.client.get("/console/secrets.json")).status_code == 404


async def test_it_begins_with_an_example_in_every_language_that_has_plain_probes(service: RunningService) -> None:
    answer = await service.client.get("/console/examples.json")
    assert answer.headers["content-type"].startswith("application/json")
    examples = answer.json()
    assert set(examples) == set(all_plain_probes())
    for example in examples.values():
        assert example["query"].strip()
        assert len(set(example["products"])) == 4


async def test_the_examples_are_not_the_plain_probes_own_rows(service: RunningService) -> None:
    for language, example in (await service.client.get("/console/examples.json")).json().items():
        probes = plain_probes(language)
        assert example["query"] not in {probe.query for probe in probes}
        assert not {title for probe in probes for title in probe.titles} & set(example["products"])
