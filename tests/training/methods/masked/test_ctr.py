from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.training.learners import learn, logits_of, toy_method
from training.methods.masked.ctr import Ctr
from training.methods.masked.transfer_routing import KERNELS, TransferDecision, TransferRouting

HIDDEN, BOTTLENECK, PLACES, SIZE, SEMANTIC, CHANNELS = 32, 8, 2 * 2, 3, 3, 10
FEATURES, FOUND = SIZE * SEMANTIC, len(KERNELS) * CHANNELS
ADAPTERS = PLACES * (HIDDEN * BOTTLENECK + BOTTLENECK + BOTTLENECK * HIDDEN + HIDDEN)
ENLARGING = PLACES * (FEATURES * HIDDEN + HIDDEN)
CONVOLUTIONS = 2 * sum(CHANNELS * FEATURES * kernel + CHANNELS for kernel in KERNELS)
DECIDING = FOUND * CHANNELS + CHANNELS + FOUND * FEATURES + FEATURES + FOUND * 2 + 2
ROUTING = PLACES * (CONVOLUTIONS + DECIDING)
CAPSULE = PLACES * (HIDDEN * SIZE + SIZE + SEMANTIC * SIZE * SIZE)
MASKS = PLACES * (BOTTLENECK + HIDDEN)
HEAD = 4 * HIDDEN + 2


@pytest.fixture
def routing() -> TransferRouting:
    torch.manual_seed(0)
    return TransferRouting(SEMANTIC, SIZE, CHANNELS).eval()


def predictions(texts: int = 1, tokens: int = 6, tasks: int = 3) -> torch.Tensor:
    return torch.randn(texts, tokens, tasks, SEMANTIC, SIZE, generator=torch.Generator().manual_seed(1))


def full_mask(given: torch.Tensor) -> torch.Tensor:
    return torch.ones(given.shape[:2], dtype=torch.bool)


def strongest(layers: torch.nn.ModuleList, text: np.ndarray, light: np.ndarray | float) -> np.ndarray:
    """Largest rectified response of each convolution to (tokens, features), written out place by place."""
    found = []
    for layer, kernel in zip(layers, KERNELS, strict=True):
        weight, bias = (parameter.detach().numpy() for parameter in layer.parameters())
        edge = np.zeros((kernel - 1, text.shape[1]))
        padded = np.concatenate([edge, text, edge])
        windows = [padded[start : start + kernel].T for start in range(len(padded) - kernel + 1)]
        responses = [np.einsum("cfk,fk->c", weight, window) + bias + light for window in windows]
        found.append(np.maximum(np.max(responses, axis=0), 0))
    return np.concatenate(found)


def affine(layer: torch.nn.Linear, vector: np.ndarray) -> np.ndarray:
    return np.asarray(layer.weight.detach().numpy() @ vector + layer.bias.detach().numpy())


def test_the_decision_is_what_the_equations_say(routing: TransferRouting) -> None:
    given = predictions()
    decision = routing(given, full_mask(given), sampled=False)
    texts = given[0].flatten(2).numpy()
    light = affine(routing.light, strongest(routing.own, texts[:, -1], 0.0))
    for task in range(3):
        found = strongest(routing.other, texts[:, task], light)
        similarity = affine(routing.similarity, found).reshape(SEMANTIC, SIZE)
        np.testing.assert_allclose(
            decision.similarity[0, task].detach().numpy(), similarity, rtol=1e-4, atol=1e-5
        )
        opened, closed = affine(routing.gate, found)
        assert decision.gate[0, task].item() == float(opened >= closed)


def test_a_closed_gate_lets_nothing_of_a_marketplace_through() -> None:
    given = predictions()
    similarity = torch.full((1, 3, SEMANTIC, SIZE), 2.0)
    mixed = TransferDecision(torch.tensor([[1.0, 0.0, 1.0]]), similarity).route(given)
    torch.testing.assert_close(mixed, 2 * (given[:, :, 0] + given[:, :, 2]))


def test_gates_are_drawn_in_training_and_can_learn(routing: TransferRouting) -> None:
    given = predictions(texts=64)
    torch.manual_seed(0)
    drawn = [routing(given, full_mask(given), sampled=True) for _ in range(2)]
    assert set(drawn[0].gate.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(drawn[0].gate, drawn[1].gate)
    drawn[0].gate.sum().backward()
    assert routing.gate.weight.grad is not None
    assert float(routing.gate.weight.grad.abs().sum()) > 0
    fixed = [routing(given, full_mask(given), sampled=False).gate for _ in range(2)]
    assert torch.equal(*fixed)


@pytest.mark.parametrize("tokens", [1, 2, 6])
def test_padding_changes_nothing_wherever_it_is(routing: TransferRouting, tokens: int) -> None:
    alone = predictions(tokens=tokens)
    expected = routing(alone, full_mask(alone), sampled=False)
    padding = torch.full((1, 3, *alone.shape[2:]), 9.0)
    half = (tokens + 1) // 2
    mask = torch.tensor([[True] * half + [False] * 3 + [True] * (tokens - half) + [False] * 3])
    padded = torch.cat([alone[:, :half], padding, alone[:, half:], padding], dim=1)
    found = routing(padded, mask, sampled=False)
    torch.testing.assert_close(found.similarity, expected.similarity)
    assert torch.equal(found.gate, expected.gate)


def test_scores_are_the_same_every_time(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("ctr", tiny_encoder_folder, tmp_path)
    learn(method, ("us", "es"))
    np.testing.assert_array_equal(logits_of(method, "us"), logits_of(method, "us"))


def test_every_marketplace_adds_a_capsule_masks_and_a_head(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    stage = {"epochs": 1, "batch_size": 16}
    settings = {"bottleneck": BOTTLENECK, "channels": CHANNELS, "stage": stage}
    method = toy_method("ctr", tiny_encoder_folder, tmp_path, ctr=settings)
    assert isinstance(method, Ctr)
    learn(method, ("us", "es"))
    encoder = sum(p.numel() for p in method.context.load_encoder().parameters())
    assert method.trainable_parameters == ADAPTERS + ENLARGING + ROUTING + 2 * CAPSULE + MASKS + HEAD
    assert method.total_parameters == encoder + ADAPTERS + ENLARGING + ROUTING + 2 * (CAPSULE + MASKS + HEAD)
