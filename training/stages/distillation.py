"""Attention distillation (eq. 9): the student's fusion keeps to the older adapters as its teacher did."""

from __future__ import annotations

import torch
from torch import Tensor

from model_store.network.interaction import AttentionMaps


def attention_distillation_loss(
    teacher: AttentionMaps, student: AttentionMaps, older_adapters: int, renormalise: bool = False
) -> tuple[Tensor, int]:
    """Sum over layers and tokens of KL(Omega || omega) over the older adapters, and the number of tokens.

    Omega is the teacher's attention over its t-1 adapters, omega the first t-1 entries of the student's.
    omega sums to less than 1 and is not renormalised by default: on old-language text the loss then also
    pushes weight away from the new adapter (section 3 of the paper's method, eq. 9).

    Args:
        teacher: maps of (texts, tokens, t - 1) log attention; padding is masked out.
        student: maps of (texts, tokens, t) log attention over the same texts.

    Returns:
        The sum (differentiable through the student) and the count of (layer, token) places in it. Their
        ratio is the mean over tokens and layers.
    """
    total: Tensor | None = None
    places = 0
    for teacher_log, student_log, mask in zip(
        teacher.log_attention, student.log_attention, student.masks, strict=True
    ):
        older = student_log[..., :older_adapters]
        if renormalise:
            older = older - torch.logsumexp(older, dim=-1, keepdim=True)
        divergence = (teacher_log.exp() * (teacher_log - older)).sum(-1)
        part = (divergence * mask).sum()
        total = part if total is None else total + part
        places += int(mask.sum())
    assert total is not None
    return total, places


def own_adapter_loss(student: AttentionMaps) -> tuple[Tensor, int]:
    """Sum over layers and tokens of KL(one-hot || omega) = -log omega of the newest adapter, and their number.

    The teacher of the new marketplace's own rows is its adapter alone, as at step 1, where the only adapter has
    all the attention.

    Args:
        student: maps of (texts, tokens, t) log attention; padding is masked out.

    Returns:
        As in `attention_distillation_loss`.
    """
    parts = [
        -(log_attention[..., -1] * mask).sum()
        for log_attention, mask in zip(student.log_attention, student.masks, strict=True)
    ]
    return torch.stack(parts).sum(), sum(int(mask.sum()) for mask in student.masks)
