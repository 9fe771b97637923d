from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from model_store.pair_batch import PRODUCT_SEGMENT
from model_store.pair_network import Route
from model_store.scoring import encoded_texts
from tests.training.learners import learn_us_and_es, toy_configuration, toy_learner, toy_pairs
from training.continual_learner import ContinualLearner
from training.labelled_tokens import LabelledTokens


def learnt(folder: Path, run: Path, pull: float) -> ContinualLearner:
    learner = toy_learner(folder, toy_configuration(untrained_pull=pull, adapter_start="previous"))
    learn_us_and_es(learner, run)
    return learner


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


def test_the_pull_keeps_other_texts_where_the_untrained_encoder_has_them(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    free = moved(learnt(tiny_encoder_folder, tmp_path / "free", 0.0))
    pulled = moved(learnt(tiny_encoder_folder, tmp_path / "pulled", 30.0))
    assert free > 0.01  # training moves them
    assert pulled < 0.25 * free


def test_a_head_that_reads_no_means_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"only head\.kind 'similarity' reads"):
        toy_configuration(untrained_pull=1.0, head={"kind": "linear"}, pair_encoding={"interaction": "cross"})
