"""The adapters of B-CL and CTR: a masked adapter that also sees what the tasks' capsules share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from training.methods.masked.adapter import MaskedAdapter
from training.methods.masked.capsules import TaskCapsules, enlarging_layer, route_dynamically
from training.methods.masked.hard_attention import HardAttention
from training.methods.masked.transfer_routing import TransferRouting


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
