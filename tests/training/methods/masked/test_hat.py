from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.errors import ConfigurationError
from tests.support.training.learners import copied, learn, logits_of, toy_method, toy_rows
from training.configuration import checked_configuration
from training.methods.masked.hard_attention import LARGEST_EMBEDDING
from training.methods.masked.hat import Hat
from training.methods.masked.stage import MaskedStage

HIDDEN, BOTTLENECK, PLACES = 32, 8, 2 * 2
ADAPTERS = PLACES * (HIDDEN * BOTTLENECK + BOTTLENECK + BOTTLENECK * HIDDEN + HIDDEN)
MASKS = PLACES * (BOTTLENECK + HIDDEN)
HEAD = 4 * HIDDEN + 2
FAST = {"epochs": 3, "batch_size": 16, "learning_rate": 0.1, "min_steps": 12}


def toy_hat(encoder: Path, folder: Path, **settings: object) -> Hat:
    method = toy_method("hat", encoder, folder, hat={"bottleneck": BOTTLENECK, "stage": FAST, **settings})
    assert isinstance(method, Hat)
    return method


def open_units(method: Hat, task: str) -> float:
    adapters = method._environment.network.adapters()
    masks = [attention(task, None) for adapter in adapters for attention in adapter.attentions()]
    return float(torch.cat(masks).mean())


def test_gradients_of_protected_units_are_zero_and_others_are_not(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    method = toy_hat(tiny_encoder_folder, tmp_path)
    learn(method, ("us",))
    environment, network = method._environment, method._environment.network
    network.add_task("es")
    rows = toy_rows(environment.tokenizer, "es")
    stage = MaskedStage(environment, method.settings, rows, ["us"], seed=0)
    stage.parameters()
    batch = stage.batches(0)[0]
    for loss, _ in stage.losses(batch, 0, 1):
        loss.backward()  # type: ignore[no-untyped-call]
    stage.before_update(batch)
    for adapter in network.adapters():
        inner, outer = adapter.inner("us", None), adapter.outer("us", None)
        assert 0 < inner.mean() < 1
        protected = {
            adapter.adapter.down.weight: inner[:, None].expand(BOTTLENECK, HIDDEN) > 0,
            adapter.adapter.down.bias: inner > 0,
            adapter.adapter.adapter_up.weight: (outer[:, None] * inner[None, :]) > 0,
            adapter.adapter.adapter_up.bias: outer > 0,
        }
        for parameter, kept in protected.items():
            assert parameter.grad is not None
            assert (parameter.grad[kept] == 0).all()
        bias = adapter.adapter.adapter_up.bias.grad
        assert bias is not None
        assert (bias[outer == 0] != 0).all()


def test_older_marketplaces_score_as_before_however_many_follow(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    method = toy_hat(tiny_encoder_folder, tmp_path)
    learn(method, ("us",))
    us = logits_of(method, "us")
    learn(method, ("us", "es"))
    es = logits_of(method, "es")
    learn(method, ("us", "es", "de"))
    np.testing.assert_allclose(logits_of(method, "us"), us, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits_of(method, "es"), es, rtol=1e-4, atol=1e-4)


def test_weights_that_any_older_marketplace_uses_stay_and_free_ones_move(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    method = toy_hat(tiny_encoder_folder, tmp_path)
    learn(method, ("us", "es"))
    adapters = list(method._environment.network.adapters())
    before = [copied(dict(adapter.adapter.named_parameters())) for adapter in adapters]
    learn(method, ("us", "es", "de"))
    moved = 0
    for adapter, older in zip(adapters, before, strict=True):
        used = torch.maximum(adapter.inner("us", None), adapter.inner("es", None)) > 0
        same = (adapter.adapter.down.weight == older["adapter_down.0.weight"]).all(1)
        assert same[used].all()
        moved += int((~same[~used]).sum())
    assert moved > 0


def test_sparsity_leaves_units_to_later_marketplaces(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    shares = {}
    for sparsity in (0.0, 20.0):
        method = toy_hat(tiny_encoder_folder, tmp_path / str(sparsity), sparsity=sparsity)
        learn(method, ("us",))
        shares[sparsity] = open_units(method, "us")
    assert shares[20.0] < shares[0.0] - 0.05


def test_embeddings_stay_where_a_unit_can_be_given_up(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_hat(tiny_encoder_folder, tmp_path, mask_learning_rate=5.0)
    learn(method, ("us",))
    adapters = method._environment.network.adapters()
    embeddings = [a.embeddings["us"] for adapter in adapters for a in adapter.attentions()]
    largest = max(float(embedding.detach().abs().max()) for embedding in embeddings)
    assert largest == LARGEST_EMBEDDING


def test_weight_decay_is_refused_as_it_would_move_what_is_protected() -> None:
    with pytest.raises(ConfigurationError, match=r"hat: .*stage.weight_decay"):
        checked_configuration({"hat": {"stage": {"weight_decay": 0.01}}}, "plan.yaml")


def test_every_marketplace_adds_masks_and_a_head(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_hat(tiny_encoder_folder, tmp_path)
    learn(method, ("us", "es"))
    encoder = sum(p.numel() for p in method.context.load_encoder().parameters())
    assert method.trainable_parameters == ADAPTERS + MASKS + HEAD
    assert method.total_parameters == encoder + ADAPTERS + 2 * (MASKS + HEAD)
