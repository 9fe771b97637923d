from __future__ import annotations

import pytest
import torch
from torch import nn

from model_store.network.fast_products import FastProducts


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7, 33), (3, 5, 33), (0, 33)])
def test_the_products_are_those_of_torch(bias: bool, shape: tuple[int, ...]) -> None:
    linear, hidden = nn.Linear(33, 65, bias=bias), torch.randn(*shape)
    with torch.inference_mode():
        expected = linear(hidden)
        with FastProducts():
            found = linear(hidden)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-5)


def test_gradients_and_autocast_are_left_to_torch() -> None:
    linear, hidden = nn.Linear(8, 8), torch.randn(4, 8)
    with FastProducts():
        linear(hidden).sum().backward()
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            assert linear(hidden).dtype == torch.bfloat16
    assert linear.weight.grad is not None
