from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.training.learners import learn, logits_of, toy_method
from training.methods.single_marketplace import SingleMarketplace
from training.stages.finetuning import TrainableRows


def test_an_older_marketplaces_scores_do_not_change(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("single_marketplace", tiny_encoder_folder, tmp_path)
    learn(method, ("us",))
    before = logits_of(method, "us")
    learn(method, ("us", "es"))
    own = logits_of(method, "es")
    np.testing.assert_array_equal(logits_of(method, "us"), before)
    np.testing.assert_array_equal(logits_of(method, "es"), own)


def test_every_model_begins_at_the_untrained_encoder(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    second = toy_method("single_marketplace", tiny_encoder_folder, tmp_path / "a")
    learn(second, ("us", "es"))
    alone = toy_method("single_marketplace", tiny_encoder_folder, tmp_path / "b")
    learn(alone, ("es",))
    np.testing.assert_array_equal(logits_of(second, "es"), logits_of(alone, "es"))


def test_a_kept_model_holds_no_whole_vocabulary(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("single_marketplace", tiny_encoder_folder, tmp_path)
    assert isinstance(method, SingleMarketplace)
    learn(method, ("us", "es"))
    words = method._environment.network.encoder.word_embeddings
    assert isinstance(words, TrainableRows)
    for weights in method._kept.values():
        rows = next(tensor for name, tensor in weights.tensors.items() if name.endswith("word_embeddings.rows"))
        assert len(rows) == len(weights.token_ids) < words.whole.num_embeddings
        assert all(tensor.device.type == "cpu" for tensor in weights.tensors.values())


def test_it_trains_one_whole_model_a_step_and_needs_all(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("single_marketplace", tiny_encoder_folder, tmp_path)
    learn(method, ("us",))
    encoder = sum(p.numel() for p in method.context.load_encoder().parameters())
    head = 4 * 32 + 2
    assert method.trainable_parameters == method.total_parameters == encoder + head
    learn(method, ("us", "es"))
    assert method.trainable_parameters == encoder + head
    assert method.total_parameters == 2 * (encoder + head)
