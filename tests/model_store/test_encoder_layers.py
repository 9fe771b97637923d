from __future__ import annotations

import torch
from torch import Tensor, nn

from model_store.encoder_layers import attention_bias, written_out_attention


def states(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, 4, 2, 7, 8, generator=generator).unbind()
    return query.requires_grad_(), key.requires_grad_(), value.requires_grad_()


def test_attention_written_out_is_torch_s_with_its_gradients() -> None:
    lengths = torch.tensor([7, 3, 1, 5])
    bias = attention_bias(torch.arange(7) < lengths[:, None], padded=True)
    for mask in (bias, None):
        expected, found = states(0), states(0)
        nn.functional.scaled_dot_product_attention(*expected, mask).square().sum().backward()  # type: ignore[no-untyped-call]
        written_out_attention(*found, mask, 0.0).square().sum().backward()  # type: ignore[no-untyped-call]
        for one, other in zip(expected, found, strict=True):
            torch.testing.assert_close(one.grad, other.grad)
