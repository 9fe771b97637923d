from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tests.support.training.learners import copied, learn, toy_method
from training.methods.masked.adapter import DynamicRoutingAdapter
from training.methods.masked.b_cl import Bcl
from training.methods.masked.capsules import TaskCapsules, route_dynamically, squash

HIDDEN, BOTTLENECK, PLACES, SIZE, SEMANTIC = 32, 8, 2 * 2, 3, 3
ADAPTERS = PLACES * (HIDDEN * BOTTLENECK + BOTTLENECK + BOTTLENECK * HIDDEN + HIDDEN)
ENLARGING = PLACES * (SIZE * SEMANTIC * HIDDEN + HIDDEN)
CAPSULE = PLACES * (HIDDEN * SIZE + SIZE + SEMANTIC * SIZE * SIZE)
MASKS = PLACES * (BOTTLENECK + 2 * HIDDEN)
HEAD = 4 * HIDDEN + 2


def toy_b_cl(encoder: Path, folder: Path) -> Bcl:
    stage = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1, "min_steps": 8}
    method = toy_method("b_cl", encoder, folder, b_cl={"bottleneck": BOTTLENECK, "stage": stage})
    assert isinstance(method, Bcl)
    return method


def adapters_of(method: Bcl) -> list[DynamicRoutingAdapter]:
    return [a for a in method._environment.network.adapters() if isinstance(a, DynamicRoutingAdapter)]


def squashed(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return np.asarray(length**2 / (1 + length**2) * vector / length)


def test_vectors_are_squashed_below_one_in_their_direction() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 3)) * np.array([0.01, 1, 5, 100, 3])[:, None]
    np.testing.assert_allclose(
        squash(torch.tensor(vectors)).numpy(), [squashed(vector) for vector in vectors], rtol=1e-6
    )
    assert float(squash(torch.zeros(3)).abs().max()) == 0


def test_routing_weights_are_what_routing_by_agreement_says() -> None:
    tasks, capsules, size, iterations = 4, 2, 3, 3
    predictions = np.random.default_rng(0).normal(size=(tasks, capsules, size))
    mixtures, weights = route_dynamically(torch.tensor(predictions)[None, None], iterations)
    for capsule in range(capsules):
        agreement = np.zeros(tasks)
        for iteration in range(iterations):
            share = np.exp(agreement) / np.exp(agreement).sum()
            mixture = sum(share[task] * predictions[task, capsule] for task in range(tasks))
            if iteration < iterations - 1:
                agreement += [predictions[task, capsule] @ squashed(mixture) for task in range(tasks)]
        np.testing.assert_allclose(weights[0, 0, :, capsule].numpy(), share, rtol=1e-9)
        np.testing.assert_allclose(mixtures[0, 0, capsule].numpy(), mixture, rtol=1e-9)
    assert not np.allclose(weights.numpy(), 1 / tasks, atol=0.01), "agreement changed the weights"


def test_a_capsule_predicts_by_its_tasks_route_weights() -> None:
    torch.manual_seed(0)
    capsules = TaskCapsules(HIDDEN, SIZE, SEMANTIC)
    for task in ("us", "es"):
        capsules.add_task(task)
    hidden = torch.randn(1, 1, HIDDEN)
    predictions = capsules(hidden, "es").detach()[0, 0].numpy()
    for place, task in enumerate(("us", "es")):
        layer, routes = capsules.layers[task], capsules.route_weights[task].detach().numpy()
        capsule = squashed(layer(hidden).detach().numpy()[0, 0])
        for semantic in range(SEMANTIC):
            np.testing.assert_allclose(predictions[place, semantic], capsule @ routes[semantic], rtol=1e-4)


def test_a_marketplace_sees_the_capsules_up_to_its_own() -> None:
    torch.manual_seed(0)
    capsules, hidden = TaskCapsules(HIDDEN, SIZE, SEMANTIC), torch.randn(2, 4, HIDDEN)
    capsules.add_task("us")
    before = capsules(hidden, "us")
    capsules.add_task("es")
    capsules.add_task("de")
    assert [capsules.visible_to(task) for task in ("us", "es", "de")] == [
        ["us"],
        ["us", "es"],
        ["us", "es", "de"],
    ]
    torch.testing.assert_close(capsules(hidden, "us"), before)
    capsules(hidden, "es").sum().backward()
    assert capsules.route_weights["us"].grad is not None
    assert capsules.route_weights["de"].grad is None


def test_older_capsules_go_on_learning_and_what_masks_protect_does_not(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    method = toy_b_cl(tiny_encoder_folder, tmp_path)
    learn(method, ("us",))
    adapters = adapters_of(method)
    capsules = [copied(dict(adapter.capsules.named_parameters())) for adapter in adapters]
    enlarging = [adapter.larger.weight.detach().clone() for adapter in adapters]
    learn(method, ("us", "es"))
    for adapter, older, weight in zip(adapters, capsules, enlarging, strict=True):
        assert any((adapter.capsules.get_parameter(name) != value).any() for name, value in older.items())
        used = adapter.enlarged("us", None) > 0
        assert torch.equal(adapter.larger.weight[used], weight[used])
        assert not torch.equal(adapter.larger.weight[~used], weight[~used])


def test_every_marketplace_adds_a_capsule_masks_and_a_head(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_b_cl(tiny_encoder_folder, tmp_path)
    learn(method, ("us", "es"))
    encoder = sum(p.numel() for p in method.context.load_encoder().parameters())
    assert method.trainable_parameters == ADAPTERS + ENLARGING + 2 * CAPSULE + MASKS + HEAD
    assert method.total_parameters == encoder + ADAPTERS + ENLARGING + 2 * (CAPSULE + MASKS + HEAD)
