from __future__ import annotations

import numpy as np
import pytest
import torch

from training.methods.masked.hard_attention import (
    HardAttention,
    annealed_scale,
    compensate_gradient,
    open_share,
)


def attention(**embeddings: list[float]) -> HardAttention:
    made = HardAttention(len(next(iter(embeddings.values()))))
    for task, values in embeddings.items():
        made.add_task(task)
        made.embeddings[task].data = torch.tensor(values)
    return made


def test_the_mask_is_the_sigmoid_of_the_scaled_embedding_and_binary_in_the_limit() -> None:
    made = attention(us=[-2.0, -0.01, 0.02, 1.0])
    soft = made("us", 3.0).detach().numpy()
    np.testing.assert_allclose(soft, 1 / (1 + np.exp(-3.0 * np.array([-2.0, -0.01, 0.02, 1.0]))), rtol=1e-6)
    assert made("us", None).tolist() == [0, 0, 1, 1]


def test_the_scale_goes_linearly_from_nearly_open_to_nearly_binary() -> None:
    shares = np.arange(4) / 4
    scales = [annealed_scale(share, 400.0) for share in shares]
    np.testing.assert_allclose(scales, (400 - 1 / 400) * shares + 1 / 400)


def test_the_gradient_is_compensated_as_the_equation_says() -> None:
    values, gradient = np.array([-5.0, -0.3, 0.1, 2.0]), np.array([0.5, -1.0, 2.0, 1e-9])
    embedding = torch.nn.Parameter(torch.tensor(values))
    embedding.grad = torch.tensor(gradient)
    compensate_gradient(embedding, 30.0, 400.0)
    expected = gradient * 400 / 30 * (np.cosh(np.clip(30 * values, -50, 50)) + 1) / (np.cosh(values) + 1)
    np.testing.assert_allclose(embedding.grad.numpy(), expected, rtol=1e-9)


def test_what_any_older_task_uses_is_used() -> None:
    made = attention(us=[1.0, -1.0, -1.0], es=[-1.0, 1.0, -1.0], de=[1.0, 1.0, 1.0])
    assert made.used_by(["us"]).tolist() == [1, 0, 0]
    assert made.used_by(["us", "es"]).tolist() == [1, 1, 0]
    assert made.used_by([]).tolist() == [0, 0, 0]


def test_units_that_older_tasks_use_cost_nothing() -> None:
    mask, used = torch.tensor([0.9, 0.5, 0.1, 0.8]), torch.tensor([1.0, 0.0, 0.0, 1.0])
    more, unused = torch.tensor([0.3]), torch.tensor([0.0])
    assert float(open_share([(mask, used), (more, unused)])) == pytest.approx((0.5 + 0.1 + 0.3) / 3)


def test_with_every_unit_used_the_sparsity_is_zero() -> None:
    assert float(open_share([(torch.ones(3), torch.ones(3))])) == 0.0
