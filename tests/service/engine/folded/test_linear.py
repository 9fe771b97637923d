from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from model_store.network.fast_products import onednn_problem
from service.engine.folded.linear import FastLinear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_or_not_it_is_the_plain_layer_on_every_processor(dtype: torch.dtype, bias: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(32, 48, bias=bias)
    fast = FastLinear.of(plain.weight, plain.bias).to(dtype)
    hidden, residual = torch.randn(5, 7, 32).to(dtype), torch.randn(5, 7, 48).to(dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    with torch.inference_mode():
        expected = plain(hidden.float())
        for _ in range(2):
            for found, wanted in (
                (fast(hidden), expected),
                (fast.gelu(hidden), functional.gelu(expected)),
                (fast.added_to(residual, hidden), expected + residual.float()),
            ):
                assert found.dtype == dtype
                torch.testing.assert_close(found.float(), wanted, atol=tolerance, rtol=tolerance)
            fast.pack()
    assert (fast._packed is not None) == (onednn_problem(dtype) is None)


def test_a_type_that_onednn_does_not_multiply_is_said() -> None:
    assert onednn_problem(torch.float64)
