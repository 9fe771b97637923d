"""What all methods have in common: a marketplace is learnt once, with any interaction, and can be resumed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from model_store.errors import ConfigurationError
from model_store.metrics import roc_auc
from tests.support.training.learners import learn, logits_of, own_settings, toy_method, toy_pairs, toy_rows
from training.configuration import TrainingConfiguration, load_configuration
from training.data.pairs import RelevancePair
from training.data.sources import parse_source
from training.methods.base import Method, MethodContext
from training.methods.registry import METHODS
from training.runs.marketplace_data import checked_splits
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows
from training.stages.loop import _Loop

BOTH = ("us", "es")
Learnt = Callable[[str], Method]


class InterruptionError(Exception):
    pass


@pytest.fixture(scope="module")
def learnt(tiny_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    """A method that has learnt both marketplaces undisturbed, once for all tests."""
    methods: dict[str, Method] = {}

    def method_named(name: str) -> Method:
        if name not in methods:
            methods[name] = toy_method(name, tiny_encoder_folder, tmp_path_factory.mktemp(name))
            learn(methods[name], BOTH)
        return methods[name]

    return method_named


# What a random encoder's adapters can do when both texts are in one sequence is little.
@pytest.mark.parametrize(("interaction", "floor"), [("two_tower", 0.9), ("cross", 0.6), ("late(1)", 0.9)])
@pytest.mark.parametrize("name", METHODS)
def test_it_learns_with_every_interaction(
    name: str, interaction: str, floor: float, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    stage: dict[str, object] = {"epochs": 6, "batch_size": 16, "learning_rate": 1e-2, "patience": 6}
    method = toy_method(
        name,
        tiny_encoder_folder,
        tmp_path,
        pair_encoding={"interaction": interaction},
        adapter_stage=stage,
        fusion_stage=stage,
        finetuning_stage=stage,
        **own_settings(stage, masked={**stage, "learning_rate": 0.1}),
    )
    rows = toy_rows(method.context.tokenizer, "us")
    labels, pairs = rows.train.labels, rows.train.tokenized
    if method.is_joint:
        method.learn_together({"us": rows})
    else:
        method.learn(rows)
    assert roc_auc(labels, method.logits("us", pairs)) > floor
    assert method.trainable_parameters > 0
    assert method.total_parameters > 40_000


@pytest.mark.parametrize("name", METHODS)
def test_what_it_says_it_does_not_read_it_does_not_read(
    name: str, tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, read = toy_method(name, tiny_encoder_folder, tmp_path), set()
    original = TrainingConfiguration.__getattribute__

    def noted(configuration: TrainingConfiguration, field: str) -> object:
        read.add(field)
        return original(configuration, field)

    monkeypatch.setattr(TrainingConfiguration, "__getattribute__", noted)
    again = type(method)(method.context)
    learn(again, BOTH)
    logits_of(again, "us")
    assert {"token_budget", "checkpoint_seconds"} <= read
    assert method.unread_settings <= TrainingConfiguration.model_fields.keys()
    assert not method.unread_settings & read


@pytest.mark.parametrize("name", METHODS)
def test_a_marketplace_is_learnt_once(name: str, learnt: Learnt) -> None:
    method = learnt(name)
    rows = toy_rows(method.context.tokenizer, "us")
    with pytest.raises(ConfigurationError, match="has learnt 'us' already"):
        method.learn_together({"us": rows}) if method.is_joint else method.learn(rows)


@pytest.mark.parametrize("name", METHODS)
def test_an_unknown_marketplace_is_scored_by_what_the_newest_uses(name: str, learnt: Learnt) -> None:
    method = learnt(name)
    pairs = LabelledTokens.of(toy_pairs("es", 20, seed=5), method.context.tokenizer).tokenized
    np.testing.assert_array_equal(method.logits("de", pairs), method.logits("es", pairs))


@pytest.mark.parametrize("name", METHODS)
def test_interrupted_and_resumed_it_scores_the_same(
    name: str, learnt: Learnt, tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = learnt(name)
    original, steps = _Loop._step, 0

    def counted(loop: _Loop, batch: object) -> dict[str, float]:
        nonlocal steps
        steps += 1
        if steps == 11:
            raise InterruptionError
        return original(loop, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(_Loop, "_step", counted)
    with pytest.raises(InterruptionError):
        learn(toy_method(name, tiny_encoder_folder, tmp_path), BOTH)
    resumed = toy_method(name, tiny_encoder_folder, tmp_path)
    learn(resumed, BOTH)
    for marketplace in BOTH:
        np.testing.assert_array_equal(logits_of(resumed, marketplace), logits_of(undisturbed, marketplace))
    finished = steps
    again = toy_method(name, tiny_encoder_folder, tmp_path)
    learn(again, BOTH)
    assert steps == finished, "finished stages are read back"
    np.testing.assert_array_equal(logits_of(again, "us"), logits_of(undisturbed, "us"))


MARKETPLACE = "us"
PEER = "sequential_finetuning"
# As the plans train; many rows are tested, since the distance asked for is that of two seeds on a few hundred.
CONFIGURATION = load_configuration(
    "small",
    {
        "base_encoder": "packaged:2",
        "translation": "none",
        "test_share": 0.4,
        "adapter_stage": {"epochs": 6},
        "finetuning_stage": {"epochs": 6},
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("methods")


@cache
def catalogue_rows() -> dict[str, tuple[RelevancePair, ...]]:
    pairs = parse_source("catalogue:2000").load([MARKETPLACE], CONFIGURATION.seed)
    return checked_splits(pairs, CONFIGURATION, "catalogue")[MARKETPLACE].named()


@cache
def learnt_auc(name: str, folder: Path) -> float:
    context = MethodContext.of(CONFIGURATION, folder / name)
    tokens = {part: LabelledTokens.of(pairs, context.tokenizer) for part, pairs in catalogue_rows().items()}
    rows = MarketplaceRows(MARKETPLACE, tokens["train"], tokens["validation"])
    method = METHODS[name](context)
    if method.is_joint:
        method.learn_together({MARKETPLACE: rows})
    else:
        method.learn(rows)
    return roc_auc(tokens["test"].labels, method.logits(MARKETPLACE, tokens["test"].tokenized))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [name for name in METHODS if name != PEER])
def test_it_learns_a_marketplace_as_plain_fine_tuning_does(name: str, folder: Path) -> None:
    assert learnt_auc(name, folder) >= learnt_auc(PEER, folder) - 0.02
