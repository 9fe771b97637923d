"""Attention of the tokens of a text to each other, on the fastest products that torch has for short texts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_FEW_TEXTS = 2


def token_attention(query: Tensor, key: Tensor, value: Tensor, kept: Tensor | None) -> Tensor:
    """softmax(query key^T / sqrt(size)) value, (texts, heads, tokens, size) each.

    In bf16 on a CPU the products are written out: the kernel of `scaled_dot_product_attention` takes 2 to 3 times
    as long on texts of 32 to 128 tokens (measured: docs/performance.md).

    Args:
        kept: (texts, 1, 1, tokens) bool, False at padding; None where there is none.
    """
    if query.dtype != torch.bfloat16 or query.device.type != "cpu" or len(query) <= _FEW_TEXTS:
        return functional.scaled_dot_product_attention(query, key, value, kept)
    texts, heads, tokens, size = query.shape
    stacked = torch.stack([query, key, value]).view(3, texts * heads, tokens, size)
    added = query.new_zeros(1, 1, 1) if kept is None else _mask(kept, query)
    scores = torch.baddbmm(added, stacked[0], stacked[1].transpose(1, 2), alpha=size**-0.5)
    # Without a type the kernel falls back to single numbers where `tokens` is not a multiple of 32.
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return torch.bmm(weights, stacked[2]).view(texts, heads, tokens, size)


def _mask(kept: Tensor, query: Tensor) -> Tensor:
    """(texts * heads, 1, tokens): the lowest number at padding."""
    texts, heads, tokens, _ = query.shape
    lowest = torch.finfo(query.dtype).min
    mask = query.new_zeros(texts, 1, tokens).masked_fill_(~kept[:, 0], lowest)
    return mask.expand(texts, heads, tokens).reshape(texts * heads, 1, tokens)
