"""A bottleneck adapter that all marketplaces share, each through its own masks over the units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from model_store.network.adapters import BottleneckAdapter
from training.methods.masked.hard_attention import HardAttention


class MaskedAdapter(nn.Module):
    """HAT in one place of a layer: x + m2 * (U (m1 * relu(D x + d)) + b), with a task's masks m1 and m2.

    The units are those of the bottleneck and those of the output.
    """

    def __init__(self, hidden_size: int, bottleneck: int) -> None:
        super().__init__()
        self.adapter = BottleneckAdapter(hidden_size, bottleneck)
        self.inner = HardAttention(bottleneck)
        self.outer = HardAttention(hidden_size)

    def add_task(self, task: str) -> None:
        """Masks for a new task."""
        for attention in self.attentions():
            attention.add_task(task)

    def forward(self, hidden: Tensor, mask: Tensor, task: str, scale: float | None) -> Tensor:  # noqa: ARG002
        """(texts, tokens, hidden) of a sub-layer to the same with the adapter's part added.

        Args:
            mask: (texts, tokens) bool, False at padding.
            scale: of the annealed masks; None for binary ones.
        """
        return hidden + self.adapted(hidden, task, scale)

    def adapted(self, hidden: Tensor, task: str, scale: float | None) -> Tensor:
        """The adapter's part alone."""
        inner = self.adapter.adapter_down(hidden) * self.inner(task, scale)
        outer: Tensor = self.adapter.adapter_up(inner) * self.outer(task, scale)
        return outer

    def routing_parameters(self) -> Iterator[nn.Parameter]:
        """What decides about the transfer between tasks: nothing here."""
        yield from ()

    def attentions(self) -> Iterator[HardAttention]:
        """Everything here that has masks."""
        yield from (module for module in self.modules() if isinstance(module, HardAttention))

    def protections(self, tasks: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        """The weights that tasks use, with the share in [0, 1] to which they must stay as they are.

        A weight between two units stays where both are used.
        """
        inner, outer = self.inner.used_by(tasks), self.outer.used_by(tasks)
        yield self.adapter.down.weight, inner[:, None]
        yield self.adapter.down.bias, inner
        yield self.adapter.adapter_up.weight, torch.minimum(outer[:, None], inner[None, :])
        yield self.adapter.adapter_up.bias, outer
