"""What promotion makes of the plain probes, with real versions over the tiny encoder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_store.cli import app
from model_store.network.interaction import Route
from model_store.versions.loading import load_version
from model_store.versions.manifest import Manifest, ManifestDraft, PlainProbeResult
from model_store.versions.plain_probes import plain_probe_results, plain_probes_digest
from model_store.versions.promotion import decide_promotion
from model_store.versions.store import ModelStore, PublishedVersion
from model_store.versions.weights import write_network
from tests.support.networks import tokenizer_of
from tests.support.tiny_encoder import write_tiny_encoder
from tests.support.tiny_model import random_relevance_network, tiny_draft

HEADS, LANGUAGES = {"us": "shared", "es": "shared"}, {"us": "en", "es": "es"}


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_tiny_encoder(tmp_path / "encoder")


def publish(root: Path, encoder: Path, cosine_scale: float, parent: int | None = None) -> PublishedVersion:
    """A version whose head is the cosine times so much: with less than nothing it ranks the wrong way round."""
    network = random_relevance_network(encoder, ("us", "es"))
    network.heads.set_cosine("shared", cosine_scale, 0.0)
    route = Route(("us", "es"), "step-fused")
    tokenizer = tokenizer_of(encoder, network.pair_encoding)
    results = plain_probe_results(network, tokenizer, route, HEADS, LANGUAGES)
    draft = tiny_draft(encoder, ("us", "es"), parent=parent).model_copy(update={"plain_probes": results})
    return ModelStore(root).publish(draft, lambda folder: write_network(network, route, folder))


def test_a_version_that_ranks_worse_than_its_parent_is_warned_of(encoder: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    first, second = publish(root, encoder, 10.0), publish(root, encoder, -10.0, parent=1)
    assert first.decision.plain_probes["us"].against == "untrained"
    change = second.decision.plain_probes["us"]
    assert change.against == "parent"
    assert change.previous == first.decision.plain_probes["us"].now
    assert change.change == pytest.approx(change.now - change.previous)
    assert change.change < -0.05
    assert second.decision.promoted
    assert ModelStore(root).latest() == 2
    assert len(second.decision.warnings) == 2
    assert second.decision.warnings[0].startswith(
        f"us ranks {change.now:.4f} of the plain probes right, its parent {change.previous:.4f} (-0."
    )
    assert "; warning: es ranks" in second.decision.reason_and_warnings


def test_without_a_parent_it_is_held_against_the_untrained_encoder(encoder: Path, tmp_path: Path) -> None:
    published = publish(tmp_path / "store", encoder, -10.0)
    assert published.decision.promoted
    assert "the untrained encoder" in published.decision.warnings[0]


def test_show_prints_the_shares_and_warns(encoder: Path, tmp_path: Path) -> None:
    publish(tmp_path / "store", encoder, -10.0)
    shown = CliRunner().invoke(app, ["show", "1", "--store", str(tmp_path / "store")])
    content = json.loads(shown.stdout)
    assert content["plain_probes"]["es"]["language"] == "es"
    assert content["plain_probes"]["es"]["probes"] >= 40
    assert content["promotion"]["plain_probes"]["es"]["now"] == content["plain_probes"]["es"]["share"]
    assert shown.stderr.splitlines()[0].startswith("warning: us ranks ")
    listed = CliRunner().invoke(app, ["list", "--store", str(tmp_path / "store")])
    assert "warning: us ranks" in listed.stdout


def test_a_version_from_before_there_were_plain_probes_loads(encoder: Path, tmp_path: Path) -> None:
    publish(tmp_path / "store", encoder, 10.0)
    content = json.loads(load_version(tmp_path / "store").manifest.model_dump_json())
    del content["plain_probes"], content["promotion"]["plain_probes"], content["promotion"]["warnings"]
    manifest = Manifest.model_validate_json(json.dumps(content))
    assert manifest.plain_probes == {}
    assert manifest.promotion.reason_and_warnings == manifest.promotion.reason


def draft_of(encoder: Path, share: float, untrained: float = 0.9, digest: str | None = None) -> ManifestDraft:
    digest = digest or plain_probes_digest("en")
    found = PlainProbeResult(language="en", probes=40, digest=digest, share=share, untrained=untrained)
    return tiny_draft(encoder, ("us",)).model_copy(update={"plain_probes": {"us": found}})


def parent_of(draft: ManifestDraft) -> Manifest:
    return Manifest.of(draft, 1, decide_promotion(draft, None, None), {})


@pytest.mark.parametrize(("share", "warned"), [(1.0, False), (0.9, False), (0.85, False), (0.84, True)])
def test_a_fall_of_more_than_a_twentieth_is_warned_of(encoder: Path, share: float, warned: bool) -> None:
    parent = parent_of(draft_of(encoder, 0.9))
    decision = decide_promotion(draft_of(encoder, share, untrained=0.0), parent, parent)
    assert decision.promoted
    assert bool(decision.warnings) == warned


@pytest.mark.parametrize("parents", ["other probes", "none"])
def test_a_parent_that_was_asked_nothing_comparable_is_left_out(encoder: Path, parents: str) -> None:
    older = draft_of(encoder, 1.0, digest="another set")
    if parents == "none":
        older = older.model_copy(update={"plain_probes": {}})
    decision = decide_promotion(draft_of(encoder, 0.9), parent_of(older), None)
    assert decision.plain_probes["us"].against == "untrained"
    assert decision.warnings == ()
