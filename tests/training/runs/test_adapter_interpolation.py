from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from model_store.encoding.batch import PRODUCT_SEGMENT
from model_store.network.interaction import Route
from model_store.network.scoring import encoded_texts
from tests.support.training.learners import learn_us_and_es, toy_configuration, toy_learner, toy_pairs
from training.runs import learner as continual_learner
from training.runs.learner import ContinualLearner
from training.stages.adapter import labelled_logits, rescale_head
from training.stages.labelled_tokens import LabelledTokens
from training.stages.loop import StageResult


def learnt(folder: Path, run: Path, share: float, *, steps: int = 2) -> ContinualLearner:
    learner = toy_learner(folder, toy_configuration(adapter_interpolation=share))
    if steps == 2:
        learn_us_and_es(learner, run)
    else:
        learn_us(learner, run)
    return learner


def learn_us(learner: ContinualLearner, run: Path) -> StageResult:
    tokenizer = learner.environment.tokenizer
    train, validation = (LabelledTokens.of(toy_pairs("us", 64, seed), tokenizer) for seed in (0, 1))
    return learner.learn("us", train, validation, {}, run / "us").adapter


def moved(learner: ContinualLearner) -> float:
    """Mean squared distance of other texts' normalised means from the untrained encoder's."""
    environment = learner.environment
    texts = LabelledTokens.of(toy_pairs("us", 60, seed=9), environment.tokenizer).tokenized.products
    with torch.inference_mode():
        means = [
            torch.nn.functional.normalize(
                encoded_texts(environment.network.eval(), environment.tokenizer, texts, PRODUCT_SEGMENT, route),
                dim=-1,
            )
            for route in (learner.route, Route())
        ]
    return float((means[0] - means[1]).square().sum(-1).mean())


def test_an_adapter_adds_the_given_share_of_what_it_learnt(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    whole = learnt(tiny_encoder_folder, tmp_path / "whole", 1.0, steps=1)
    half = learnt(tiny_encoder_folder, tmp_path / "half", 0.5, steps=1)
    pairs = zip(
        whole.environment.network.adapter_modules("us"),
        half.environment.network.adapter_modules("us"),
        strict=True,
    )
    for one, other in pairs:
        torch.testing.assert_close(other.adapter_up.weight, 0.5 * one.adapter_up.weight)
        torch.testing.assert_close(other.adapter_up.bias, 0.5 * one.adapter_up.bias)
        torch.testing.assert_close(other.down.weight, one.down.weight)


def test_other_texts_stay_nearer_to_where_the_untrained_encoder_has_them(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    whole = moved(learnt(tiny_encoder_folder, tmp_path / "whole", 1.0))
    assert whole > 0.003  # training moves them
    assert moved(learnt(tiny_encoder_folder, tmp_path / "half", 0.5)) < 0.6 * whole


def test_scores_still_mean_probabilities(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    learner = learnt(tiny_encoder_folder, tmp_path, 0.3, steps=1)
    train = LabelledTokens.of(toy_pairs("us", 64), learner.environment.tokenizer)
    scores = expit(labelled_logits(learner.environment, train, learner.route, 0))
    assert scores.mean() == pytest.approx(train.labels.mean(), abs=0.01)
    assert scores[train.labels == 1].mean() > scores[train.labels == 0].mean() + 0.2


def test_a_step_that_is_read_back_is_not_weakened_again(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    first = learnt(tiny_encoder_folder, tmp_path, 0.5)
    again = learnt(tiny_encoder_folder, tmp_path, 0.5)
    pairs = LabelledTokens.of(toy_pairs("us", 20, seed=5), first.environment.tokenizer)
    for marketplace in ("us", "es"):
        np.testing.assert_array_equal(first.logits(marketplace, pairs), again.logits(marketplace, pairs))


def test_rescaling_keeps_the_order_and_refuses_to_turn_it_round(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    learner = learnt(tiny_encoder_folder, tmp_path, 1.0, steps=1)
    environment = learner.environment
    train = LabelledTokens.of(toy_pairs("us", 64), environment.tokenizer)
    before = labelled_logits(environment, train, learner.route, 0)
    environment.network.heads.rescale("shared", 0.25, 3.0)
    np.testing.assert_allclose(
        labelled_logits(environment, train, learner.route, 0), 0.25 * before + 3.0, atol=1e-4
    )
    rescale_head(environment, "shared", learner.route, train)
    rescaled = labelled_logits(environment, train, learner.route, 0)
    assert (np.argsort(rescaled, kind="stable") == np.argsort(before, kind="stable")).mean() > 0.9
    wrong = LabelledTokens(train.tokenized, 1 - train.labels, train.lengths)
    rescale_head(environment, "shared", learner.route, wrong)
    np.testing.assert_array_equal(labelled_logits(environment, train, learner.route, 0), rescaled)


def test_the_head_is_fitted_before_a_later_adapter_learns_and_not_when_it_is_read_back(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[Route] = []

    def watched(environment, head, route, train):  # type: ignore[no-untyped-def]
        fitted.append(route)
        rescale_head(environment, head, route, train)

    monkeypatch.setattr(continual_learner, "rescale_head", watched)
    learnt(tiny_encoder_folder, tmp_path, 0.5)
    assert fitted == [Route(("es",))]
    learnt(tiny_encoder_folder, tmp_path, 0.5)
    assert fitted == [Route(("es",))]
