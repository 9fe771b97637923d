from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from service.engine.folded.token_attention import token_attention


def inputs(texts: int, tokens: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    projected = torch.randn(texts, tokens, 3, 4, 16, generator=torch.Generator().manual_seed(0))
    return projected.to(dtype).transpose(1, 3).unbind(2)  # type: ignore[return-value]


@pytest.mark.parametrize("texts", [1, 5])
@pytest.mark.parametrize("tokens", [1, 7, 32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_scaled_dot_product_attention(texts: int, tokens: int, dtype: torch.dtype) -> None:
    query, key, value = inputs(texts, tokens, dtype)
    lengths = torch.randint(1, tokens + 1, (texts, 1), generator=torch.Generator().manual_seed(1))
    kept = torch.arange(tokens) < lengths
    for mask in (None, kept[:, None, None, :]):
        expected = functional.scaled_dot_product_attention(query.float(), key.float(), value.float(), mask)
        found = token_attention(query, key, value, mask)
        assert found.dtype == dtype
        tolerance = 1e-5 if dtype == torch.float32 else 0.04
        torch.testing.assert_close(found.float(), expected, atol=tolerance, rtol=tolerance)


def test_padding_gets_no_weight_at_all() -> None:
    query, key, value = inputs(5, 7, torch.bfloat16)
    kept = torch.ones(5, 1, 1, 7, dtype=torch.bool)
    kept[:, :, :, 3:] = False
    changed = value.clone()
    changed[:, :, 3:] = 1e6
    assert torch.equal(token_attention(query, key, value, kept), token_attention(query, key, changed, kept))
