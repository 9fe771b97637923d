"""Hard attention to the task (Serra et al. 2018): which units a marketplace uses, and how they are kept."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

LARGEST_EMBEDDING = 6.0
"""Embeddings are kept within this distance of zero, so that a unit can still be given up."""
_LARGEST_EXPONENT = 50.0


class HardAttention(nn.Module):
    """A learned embedding of every unit for every task, whose sigmoid is the task's mask over the units.

    With a scale s the mask is sigmoid(s * e), half open everywhere at a small s and nearly binary at a large one.
    Without a scale it is the limit: 1 where the embedding is positive, 0 elsewhere.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units
        self.embeddings = nn.ParameterDict()

    def add_task(self, task: str) -> None:
        """A new embedding, normally distributed as in the reference: about half of the units are open."""
        self.embeddings[task] = nn.Parameter(torch.randn(self.units))

    def forward(self, task: str, scale: float | None) -> Tensor:
        """The task's mask, (units)."""
        embedding: Tensor = self.embeddings[task]
        return (embedding > 0).to(embedding.dtype) if scale is None else torch.sigmoid(scale * embedding)

    def used_by(self, tasks: Iterable[str]) -> Tensor:
        """(units): the largest mask over the tasks; zero where there are none."""
        device = next(iter(self.embeddings.values())).device
        used = torch.zeros(self.units, device=device)
        for task in tasks:
            used = torch.maximum(used, self(task, None).detach())
        return used


def annealed_scale(share: float, largest: float) -> float:
    """The scale after a share of an epoch's steps: from 1 / largest to largest, linearly."""
    return (largest - 1 / largest) * share + 1 / largest


def compensate_gradient(embedding: nn.Parameter, scale: float, largest: float) -> None:
    """Make the embedding's gradient what it would be without annealing, times the largest scale.

    The gradient is multiplied by `largest / s * (cosh(s e) + 1) / (cosh(e) + 1)`, s * e within 50 of zero.
    """
    assert embedding.grad is not None
    values = embedding.detach()
    annealed = torch.cosh((scale * values).clamp(-_LARGEST_EXPONENT, _LARGEST_EXPONENT)) + 1
    embedding.grad.mul_(largest / scale * annealed / (torch.cosh(values) + 1))


def open_share(masks: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """What HAT's loss holds down, so that capacity is left: the mask's mean over units that no older task uses.

    Args:
        masks: pairs of the task's mask and the largest mask of the older tasks.
    """
    free = [(mask, 1 - used) for mask, used in masks]
    opened = torch.stack([(mask * unused).sum() for mask, unused in free]).sum()
    return opened / torch.stack([unused.sum() for _, unused in free]).sum().clamp_min(1.0)
