"""What people try first is right: what the demo and the compose quick start publish, on human judgements."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_store.versions.manifest import Manifest
from model_store.versions.store import ModelStore
from tests.support.in_process import start
from tests.support.training.real_data import real_data

SEQUENCE = ("us", "es", "jp")

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


def output_of(module: str, *arguments: str, store: Path) -> str:
    process = start(module, *arguments, store=store)
    output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    return output


@pytest.fixture(scope="module", params=[0, 1, 2])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("first-query")
    command = ["--data", "catalogue", "--sequence", ",".join(SEQUENCE), "--translation", "catalogue"]
    output_of(
        "training", "continual", *command, "--preset", "quickstart", "--seed", str(request.param), store=store
    )
    return store


def newest(store: Path) -> Manifest:
    return ModelStore(store).manifest(len(SEQUENCE))


def test_it_has_learnt_the_catalogue_and_kept_what_it_learnt(published: Path) -> None:
    matrix = newest(published).test_matrix
    for step, name in enumerate(SEQUENCE):
        assert matrix[-1][name] >= 0.90
        assert matrix[-1][name] >= matrix[step][name] - 0.01


def test_everyday_queries_are_ranked_right(published: Path) -> None:
    assert ModelStore(published).resolve("latest") == len(SEQUENCE)  # promoted: nothing was lost
    for entry in newest(published).plain_probes.values():
        assert entry.share >= 0.95
        assert entry.share >= entry.untrained - 0.05


def test_on_human_judgements_it_ranks_as_well_as_the_untrained_encoder(published: Path) -> None:
    # None of these rows was used to train or to choose anything: they are the exam.
    rows = real_data("esci_sample/esci_sample.tsv")
    found = json.loads(output_of("training", "evaluate", "--data", str(rows), "--json", store=published))
    for name in SEQUENCE:
        metrics = found["marketplaces"][name]
        assert metrics["roc_auc"] >= metrics["untrained_roc_auc"] - 0.01
