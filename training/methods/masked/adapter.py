"""Bottleneck adapters that all marketplaces share, each through its own masks over the units.

`CapsuleAdapter` (B-CL, CTR) also sees what the tasks' capsules share.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from model_store.network.adapters import BottleneckAdapter
from training.methods.masked.capsules import TaskCapsules, enlarging_layer, route_dynamically
from training.methods.masked.hard_attention import HardAttention
from training.methods.masked.transfer_routing import TransferRouting


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


class CapsuleAdapter(MaskedAdapter):
    """x + a task's masked adapter of (x + what is shared); the capsules are shared and go on learning."""

    def __init__(self, hidden_size: int, bottleneck: int, capsules: TaskCapsules) -> None:
        super().__init__(hidden_size, bottleneck)
        self.capsules = capsules
        self.larger = enlarging_layer(capsules)

    def add_task(self, task: str) -> None:
        """Masks and a capsule for a new task."""
        super().add_task(task)
        self.capsules.add_task(task)

    def routing_parameters(self) -> Iterator[nn.Parameter]:
        """As in `MaskedAdapter`: the capsules."""
        yield from self.capsules.parameters()

    def forward(self, hidden: Tensor, mask: Tensor, task: str, scale: float | None) -> Tensor:
        """As in `MaskedAdapter`."""
        return hidden + self.adapted(hidden + self.shared(hidden, mask, task, scale), task, scale)

    @abstractmethod
    def shared(self, hidden: Tensor, mask: Tensor, task: str, scale: float | None) -> Tensor:
        """(texts, tokens, hidden): what the visible tasks' capsules give to the task."""


class DynamicRoutingAdapter(CapsuleAdapter):
    """B-CL in one place of a layer: dynamic routing, enlarged under a mask of its own."""

    def __init__(self, hidden_size: int, bottleneck: int, capsules: TaskCapsules, iterations: int) -> None:
        super().__init__(hidden_size, bottleneck, capsules)
        self.iterations = iterations
        self.enlarged = HardAttention(hidden_size)

    def shared(self, hidden: Tensor, mask: Tensor, task: str, scale: float | None) -> Tensor:  # noqa: ARG002
        """As in `CapsuleAdapter`."""
        semantic, _ = route_dynamically(self.capsules(hidden, task), self.iterations)
        enlarged: Tensor = self.larger(semantic.flatten(2)) * self.enlarged(task, scale)
        return enlarged

    def protections(self, tasks: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        """As in `MaskedAdapter`, and the enlarging layer's."""
        yield from super().protections(tasks)
        used = self.enlarged.used_by(tasks)
        yield self.larger.weight, used[:, None]
        yield self.larger.bias, used


class TransferRoutingAdapter(CapsuleAdapter):
    """CTR in one place of a layer: transfer routing, enlarged by a layer that all tasks share."""

    def __init__(self, hidden_size: int, bottleneck: int, capsules: TaskCapsules, channels: int) -> None:
        super().__init__(hidden_size, bottleneck, capsules)
        self.routing = TransferRouting(capsules.semantic_capsules, capsules.size, channels)

    def routing_parameters(self) -> Iterator[nn.Parameter]:
        """As in `MaskedAdapter`: the capsules and what reads them."""
        yield from super().routing_parameters()
        yield from self.routing.parameters()

    def shared(self, hidden: Tensor, mask: Tensor, task: str, scale: float | None) -> Tensor:
        """As in `CapsuleAdapter`; gates are drawn while the masks are annealed."""
        predictions = self.capsules(hidden, task)
        decision = self.routing(predictions, mask, sampled=scale is not None)
        enlarged: Tensor = self.larger(decision.route(predictions).flatten(2))
        return enlarged
