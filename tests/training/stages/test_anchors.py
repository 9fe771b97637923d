from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.network.interaction import Route
from tests.support.training.learners import (
    learn_us_and_es,
    toy_configuration,
    toy_environment,
    toy_learner,
    toy_pairs,
)
from training.runs.learner import ContinualLearner
from training.stages.anchors import PRODUCTS_PER_QUERY, Anchors, _script, distance_from_affine, draw_anchors
from training.stages.labelled_tokens import Batch, LabelledTokens, zero_shot_cosine


def test_a_logit_that_is_any_line_of_the_cosine_costs_nothing() -> None:
    cosine = torch.linspace(0.5, 0.9, 12)
    assert float(distance_from_affine(20 * cosine - 15, cosine)) < 1e-8
    assert float(distance_from_affine(3 * cosine + 1, cosine)) < 1e-8
    assert float(distance_from_affine(-20 * cosine, cosine)) > 0.1  # the order is reversed
    shuffled = cosine[torch.tensor([1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10])]
    assert float(distance_from_affine(20 * shuffled, cosine)) > 0.1


def test_the_slope_has_no_gradient_of_its_own() -> None:
    cosine = torch.tensor([0.1, 0.5, 0.9])
    logits = torch.tensor([1.0, 5.0, 9.0], requires_grad=True)
    distance_from_affine(logits, cosine).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros(3), atol=1e-5, rtol=0)


def test_anchors_are_drawn_from_all_of_the_vocabulary_and_the_same_each_time(tiny_encoder_folder: Path) -> None:
    environment = toy_environment(tiny_encoder_folder, toy_configuration())
    tokenizer = environment.tokenizer
    train = LabelledTokens.of(toy_pairs("us", 40), tokenizer).tokenized
    drawn, again, other = (draw_anchors(train, tokenizer, 50, seed) for seed in (3, 3, 4))
    assert (drawn.queries, drawn.products) == (again.queries, again.products)
    assert drawn.products != other.products
    assert len(drawn) == 50 * PRODUCTS_PER_QUERY
    own = {token for ids in train.products for token in ids}
    seen = {token for ids in drawn.products for token in ids}
    assert seen & own
    assert len(seen - own) > len(own)
    assert not seen & set(tokenizer.special_ids)
    assert all(drawn.query_index == np.repeat(np.arange(50), PRODUCTS_PER_QUERY))
    assert max(map(len, drawn.products)) <= tokenizer.encoding.max_product_tokens


def learnt(folder: Path, run: Path, weight: float) -> ContinualLearner:
    stage = {"epochs": 15, "batch_size": 16, "learning_rate": 3e-2, "patience": 15, "tolerance": 0.4}
    configuration = toy_configuration(
        anchors={"weight": weight, "drawn": 60},
        adapter={"bottleneck": 8, "layers": 1},
        adapter_stage=stage,
        fusion_stage={**stage, "epochs": 3},
    )
    learner = toy_learner(folder, configuration)
    learn_us_and_es(learner, run)
    return learner


def agreement(learner: ContinualLearner) -> float:
    """How far logits of texts that were never seen follow the untrained encoder's cosine."""
    environment = learner.environment
    train = LabelledTokens.of(toy_pairs("de", 40), environment.tokenizer).tokenized
    tokenized = draw_anchors(train, environment.tokenizer, 80, seed=99)
    rows = LabelledTokens(tokenized, np.zeros(len(tokenized), dtype=np.float32), tokenized.lengths())
    cosine = zero_shot_cosine(environment.network, environment.tokenizer, rows)
    return float(np.corrcoef(learner.logits("us", rows), cosine)[0, 1])


def test_with_anchors_texts_that_nobody_judged_keep_the_untrained_ranking(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    free = agreement(learnt(tiny_encoder_folder, tmp_path / "free", 0.0))
    kept = agreement(learnt(tiny_encoder_folder, tmp_path / "kept", 10.0))
    assert free < 0.99  # training spoils it
    assert 1 - kept < 0.3 * (1 - free)


def test_none_are_drawn_where_none_are_asked_for(tiny_encoder_folder: Path) -> None:
    environment = toy_environment(tiny_encoder_folder, toy_configuration())
    train = LabelledTokens.of(toy_pairs("us", 40), environment.tokenizer)
    assert Anchors.of(environment, "us", train, dropout=False) is None


@pytest.mark.parametrize("interaction", ["late(1)", "cross"])
def test_pairs_that_meet_inside_the_encoder_have_anchors_too(tiny_encoder_folder: Path, interaction: str) -> None:
    configuration = toy_configuration(
        anchors={"weight": 1.0, "drawn": 20}, pair_encoding={"interaction": interaction}
    )
    environment = toy_environment(tiny_encoder_folder, configuration)
    environment.network.add_adapter("us")
    environment.network.heads.add("shared")
    train = LabelledTokens.of(toy_pairs("us", 40), environment.tokenizer)
    anchors = Anchors.of(environment, "us", train, dropout=False)
    assert anchors is not None
    [(loss, measured)] = anchors.losses(environment, Batch("new", np.arange(4)), Route(("us",)), 0, seed=1)
    assert loss.requires_grad
    assert measured["anchors"] >= 0


def test_a_marketplace_s_anchors_are_in_the_scripts_that_it_writes(tiny_encoder_folder: Path) -> None:
    environment = toy_environment(tiny_encoder_folder, toy_configuration())
    tokenizer = environment.tokenizer
    scripts = {number: _script(text) for number, text in tokenizer.vocabulary.items()}
    assert [_script(text) for text in ("▁cable", "##ная", "の", "冷蔵庫", "▁42", "▁")] == [
        "LATIN", "CYRILLIC", "HIRAGANA", "CJK", "NONE", "NONE",
    ]  # fmt: skip
    train = LabelledTokens.of(toy_pairs("us", 40), tokenizer).tokenized
    written = {scripts[token] for ids in train.products for token in ids}
    drawn = draw_anchors(train, tokenizer, 100, seed=0)
    assert {scripts[token] for ids in drawn.products for token in ids} == written
