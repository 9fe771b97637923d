from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.training.learners import learn, logits_of, toy_method


def test_the_same_weights_learn_on(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("sequential_finetuning", tiny_encoder_folder, tmp_path)
    learn(method, ("us",))
    before = logits_of(method, "us")
    learn(method, ("us", "es"))
    assert np.abs(logits_of(method, "us") - before).max() > 0.01


def test_the_encoder_is_whole_again_after_a_step(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("sequential_finetuning", tiny_encoder_folder, tmp_path)
    learn(method, ("us", "es"))
    encoder = sum(p.numel() for p in method.context.load_encoder().parameters())
    assert method.trainable_parameters == method.total_parameters == encoder + 4 * 32 + 2
    assert method.served_network() is None
