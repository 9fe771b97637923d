from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.training.learners import learn, logits_of, toy_method

ADAPTER = 2 * (32 * 8 + 8 + 8 * 32 + 32)
HEAD = 4 * 32 + 2


def test_an_older_marketplaces_scores_do_not_change(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("adapter", tiny_encoder_folder, tmp_path)
    learn(method, ("us",))
    before = logits_of(method, "us")
    learn(method, ("us", "es", "de"))
    np.testing.assert_allclose(logits_of(method, "us"), before, rtol=0, atol=1e-4)


def test_it_trains_one_adapter_and_its_head(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("adapter", tiny_encoder_folder, tmp_path)
    learn(method, ("us", "es"))
    encoder = sum(p.numel() for p in method.context.load_encoder().parameters())
    assert method.trainable_parameters == ADAPTER + HEAD
    assert method.total_parameters == encoder + 2 * (ADAPTER + HEAD)


def test_a_version_serves_one_marketplace(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("adapter", tiny_encoder_folder, tmp_path)
    learn(method, ("us", "es"))
    assert [version.route.adapters for version in method.served_versions()] == [("us",), ("es",)]
    assert method.served_network() is None
