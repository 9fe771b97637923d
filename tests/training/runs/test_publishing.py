from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model_store.metrics import roc_auc
from model_store.network.scoring import probabilities, score_tokenized
from model_store.versions.loading import load_version, score_pairs
from model_store.versions.manifest import read_evaluation_rows
from model_store.versions.plain_probes import plain_probe_shares, untrained_probe_shares
from model_store.versions.store import ModelStore
from service.engine.folded.network import FoldedNetwork
from tests.support.training.learners import SEQUENCE, learn, toy_method, toy_pairs
from training.methods.base import Method
from training.runs.files import RunFiles
from training.runs.marketplace_data import EvaluationTokens
from training.runs.publishing import Publication, Publisher, RunState
from training.runs.steps import StepResult
from training.stages.environment import run_folder_of
from training.stages.labelled_tokens import LabelledTokens

PAIRS = {
    name: {"validation": toy_pairs(name, 48, seed=1), "test": toy_pairs(name, 40, seed=5)} for name in SEQUENCE
}


def publish(method: Method, root: Path) -> list[Publication]:
    files = RunFiles(run_folder_of(root, "toy"))
    for name, parts in PAIRS.items():
        files.keep_evaluation(name, parts)
    state = RunState(zero_shot_test=dict.fromkeys(SEQUENCE, 0.5))
    for name in ("all",) if method.is_joint else SEQUENCE:
        half = dict.fromkeys(SEQUENCE, 0.5)
        trained = dict(method.trained_parts)
        state.add(StepResult(marketplace=name, seconds=1.0, trainable_parameters=trained, test_auc=half))
    publisher = Publisher(ModelStore(root), files, lambda name, part: PAIRS[name][part], EvaluationTokens({}))
    return publisher.publish(method, state, None)


def own_scores(method: Method, marketplace: str) -> np.ndarray:
    tokens = LabelledTokens.of(PAIRS[marketplace]["test"], method.context.tokenizer)
    return probabilities(method.logits(marketplace, tokens.tokenized))


@pytest.mark.parametrize("policy", ["shared", "per_step"])
@pytest.mark.parametrize(
    "name", ["adapter_fusion_joint", "attention_distillation", "attention_distillation_translation"]
)
def test_a_loaded_version_gives_the_methods_scores(
    name: str, policy: str, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    method = toy_method(name, tiny_encoder_folder, tmp_path / "run", head={"policy": policy})
    learn(method)
    [publication] = publish(method, tmp_path / "store")
    assert publication.promoted
    loaded = load_version(tmp_path / "store", publication.number)
    assert loaded.manifest.names == list(SEQUENCE)
    assert loaded.manifest.method == name
    for marketplace in SEQUENCE:
        scores = score_pairs(loaded, [pair.unlabelled() for pair in PAIRS[marketplace]["test"]])
        np.testing.assert_allclose(scores, own_scores(method, marketplace), atol=1e-6)


@pytest.mark.parametrize("name", ["adapter_fusion_joint", "attention_distillation_translation"])
def test_a_loaded_version_gives_them_with_adapters_in_the_upper_layers_alone(
    name: str, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    method = toy_method(name, tiny_encoder_folder, tmp_path / "run", adapter={"bottleneck": 8, "layers": 1})
    learn(method)
    [publication] = publish(method, tmp_path / "store")
    loaded = load_version(tmp_path / "store", publication.number)
    folded = FoldedNetwork(loaded.network, loaded.route)
    for marketplace in SEQUENCE:
        pairs = [pair.unlabelled() for pair in PAIRS[marketplace]["test"]]
        np.testing.assert_allclose(score_pairs(loaded, pairs), own_scores(method, marketplace), atol=1e-6)
        served = score_tokenized(
            folded,
            loaded.tokenizer,
            loaded.tokenizer.tokenize(pairs),
            loaded.route,
            loaded.head_numbers([marketplace] * len(pairs)),
        )
        np.testing.assert_allclose(probabilities(served), own_scores(method, marketplace), atol=1e-5)


def test_the_manifest_says_what_was_measured(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("attention_distillation", tiny_encoder_folder, tmp_path / "run")
    learn(method)
    [publication] = publish(method, tmp_path / "store")
    loaded = load_version(tmp_path / "store", publication.number)
    manifest = loaded.manifest
    rows = read_evaluation_rows(tmp_path / "store", manifest.evaluation["es"]["validation"])
    scores = score_pairs(loaded, rows.pairs)
    assert manifest.metric_matrix[-1]["es"] == pytest.approx(roc_auc(rows.labels, scores), abs=1e-6)
    probes = [probe.score for probe in manifest.probe_pairs if probe.marketplace == "es"]
    np.testing.assert_allclose(scores[:4], probes, atol=1e-6)
    entry = manifest.marketplace("es")
    assert entry.threshold is not None
    assert entry.threshold.rows == 48
    assert entry.trainable_parameters.keys() == {"adapter", "fusion", "head"}
    assert sum(entry.trainable_parameters.values()) == method.trainable_parameters
    assert sum(manifest.score_histograms["es"]) == 48


def test_every_publication_is_asked_the_plain_probes(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method(
        "attention_distillation", tiny_encoder_folder, tmp_path / "run", head={"policy": "per_step"}
    )
    learn(method)
    [publication] = publish(method, tmp_path / "store")
    loaded = load_version(tmp_path / "store", publication.number)
    languages = {"us": "en", "es": "es", "de": "de"}
    heads = {entry.name: entry.head for entry in loaded.manifest.marketplaces}
    shares = plain_probe_shares(loaded.network, loaded.tokenizer, loaded.route, heads, languages)
    untrained = untrained_probe_shares(loaded.network, loaded.tokenizer, languages)
    assert {name: found.language for name, found in loaded.manifest.plain_probes.items()} == languages
    for name, found in loaded.manifest.plain_probes.items():
        # A tie may fall either way in another process.
        assert found.share == pytest.approx(shares[name], abs=0.03)
        assert found.untrained == pytest.approx(untrained[name], abs=0.03)
        summary = {"previous": found.untrained, "now": found.share, "untrained": found.untrained}
        assert publication.plain_probes[name] == summary
    assert publication.plain_probe_line.startswith("us 0.")
    assert Publication(**json.loads(json.dumps(publication.as_dict()))) == publication


def test_separate_adapters_are_a_version_each(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("adapter", tiny_encoder_folder, tmp_path / "run")
    learn(method)
    publications = publish(method, tmp_path / "store")
    for marketplace, publication in zip(SEQUENCE, publications, strict=True):
        loaded = load_version(tmp_path / "store", publication.number)
        assert loaded.manifest.names == [marketplace]
        scores = score_pairs(loaded, [pair.unlabelled() for pair in PAIRS[marketplace]["test"]])
        np.testing.assert_allclose(scores, own_scores(method, marketplace), atol=1e-6)


@pytest.mark.parametrize("name", ["single_marketplace", "sequential_finetuning", "dytox"])
def test_a_form_that_the_store_cannot_hold_publishes_nothing(
    name: str, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    method = toy_method(name, tiny_encoder_folder, tmp_path / "run")
    learn(method)
    assert publish(method, tmp_path / "store") == []
    assert ModelStore(tmp_path / "store").numbers() == []
