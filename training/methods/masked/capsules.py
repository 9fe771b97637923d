"""Task capsules and the dynamic routing between them: how B-CL shares knowledge (Ke et al. 2021b)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model_store.network.adapters import INITIAL_STANDARD_DEVIATION

_EPSILON = 1e-16


class TaskCapsules(nn.Module):
    """One capsule of a few numbers for every task and token, and what each predicts of the semantic capsules.

    A task sees the capsules up to its own: an older task's never change what they look at.
    """

    def __init__(self, hidden_size: int, size: int, semantic_capsules: int) -> None:
        super().__init__()
        self.hidden_size, self.size, self.semantic_capsules = hidden_size, size, semantic_capsules
        self.layers = nn.ModuleDict()
        self.route_weights = nn.ParameterDict()  # each (semantic capsules, size, size)

    def add_task(self, task: str) -> None:
        """A capsule for a new task."""
        self.layers[task] = nn.Linear(self.hidden_size, self.size)
        self.route_weights[task] = nn.Parameter(torch.randn(self.semantic_capsules, self.size, self.size))

    def visible_to(self, task: str) -> list[str]:
        """The tasks from the first to the given one."""
        tasks = list(self.layers)
        return tasks[: tasks.index(task) + 1]

    def forward(self, hidden: Tensor, task: str) -> Tensor:
        """(texts, tokens, hidden) to predictions, (texts, tokens, visible tasks, semantic capsules, size)."""
        tasks = self.visible_to(task)
        weight = torch.cat([self.layers[name].weight for name in tasks])  # type: ignore[misc]
        bias = torch.cat([self.layers[name].bias for name in tasks])  # type: ignore[misc]
        flat = nn.functional.linear(hidden, weight, bias)
        capsules = squash(flat.view(*hidden.shape[:-1], len(tasks), self.size))
        return torch.einsum("btjd,jkde->btjke", capsules, self._routes(tasks).to(capsules.dtype))

    def _routes(self, tasks: Sequence[str]) -> Tensor:
        return torch.stack([self.route_weights[name] for name in tasks])


def squash(vector: Tensor) -> Tensor:
    """Shorten vectors along the last dimension to below 1: |v|^2 / (1 + |v|^2) of their direction."""
    square = vector.square().sum(-1, keepdim=True) + _EPSILON
    return square.sqrt() / (1 + square) * vector


def route_dynamically(predictions: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Routing by agreement from task capsules to semantic capsules.

    Every semantic capsule is the mixture of the tasks' predictions; a prediction that agrees with the squashed
    mixture gains weight in the next iteration.

    Args:
        predictions: (..., tasks, semantic capsules, size).

    Returns:
        The mixtures (..., semantic capsules, size), not squashed, as in the reference, and the routing weights
        (..., tasks, semantic capsules), which sum to 1 over the tasks.
    """
    agreement = torch.zeros_like(predictions[..., 0])
    for _ in range(iterations - 1):
        mixture = (agreement.softmax(-2).unsqueeze(-1) * predictions).sum(-3, keepdim=True)
        agreement = agreement + (predictions * squash(mixture)).sum(-1)
    weights = agreement.softmax(-2)
    return (weights.unsqueeze(-1) * predictions).sum(-3), weights


def enlarging_layer(capsules: TaskCapsules) -> nn.Linear:
    """The layer from all semantic capsules back to the encoder's width, small so that training starts gently."""
    layer = nn.Linear(capsules.semantic_capsules * capsules.size, capsules.hidden_size)
    nn.init.normal_(layer.weight, std=INITIAL_STANDARD_DEVIATION)
    nn.init.zeros_(layer.bias)
    return layer
