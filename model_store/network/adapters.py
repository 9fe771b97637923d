"""A Pfeiffer bottleneck adapter, and several of them stacked into two matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

INITIAL_STANDARD_DEVIATION = 0.02


class BottleneckAdapter(nn.Module):
    """`seq_bn` of the `adapters` library without its residual: u = U relu(D h + d) + b.

    Parameter names are the library's, so that files can be exchanged.
    """

    def __init__(self, hidden_size: int, bottleneck: int) -> None:
        super().__init__()
        self.adapter_down = nn.Sequential(nn.Linear(hidden_size, bottleneck), nn.ReLU())
        self.adapter_up = nn.Linear(bottleneck, hidden_size)
        for linear in (self.down, self.adapter_up):
            nn.init.normal_(linear.weight, std=INITIAL_STANDARD_DEVIATION)
            nn.init.zeros_(linear.bias)

    @property
    def down(self) -> nn.Linear:
        """The down-projection D, d."""
        linear = self.adapter_down[0]
        assert isinstance(linear, nn.Linear)
        return linear

    @property
    def bottleneck(self) -> int:
        """Width of the bottleneck."""
        return self.down.out_features

    def switch_off(self) -> None:
        """Add nothing: u = 0."""
        nn.init.zeros_(self.adapter_up.weight)
        nn.init.zeros_(self.adapter_up.bias)

    def scale(self, share: float) -> None:
        """Multiply u by `share`."""
        with torch.no_grad():
            self.adapter_up.weight.mul_(share)
            self.adapter_up.bias.mul_(share)

    def adds_something(self) -> bool:
        """Whether u can be anything but 0."""
        return bool(self.adapter_up.weight.any()) or bool(self.adapter_up.bias.any())

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, tokens, hidden) to the up-projection of the same shape, without residual."""
        up: Tensor = self.adapter_up(self.adapter_down(hidden))
        return up


@dataclass(frozen=True, slots=True)
class StackedAdapters:
    """T adapters of one layer as two matrices, zero-padded to the widest bottleneck m.

    A padded unit has weight and bias zero, so that relu gives zero and it adds nothing.
    """

    down_weight: Tensor  # (T * m, hidden)
    down_bias: Tensor  # (T * m)
    up_weight: Tensor  # (hidden, T * m)
    up_bias: Tensor  # (T, hidden)

    @classmethod
    def of(cls, adapters: Sequence[BottleneckAdapter]) -> StackedAdapters:
        """Stack the adapters in the order given; gradients reach them where they are trainable."""
        width = max(adapter.bottleneck for adapter in adapters)
        return cls(
            torch.cat([_padded(adapter.down.weight, width, 0) for adapter in adapters], dim=0),
            torch.cat([_padded(adapter.down.bias, width, 0) for adapter in adapters], dim=0),
            torch.cat([_padded(adapter.adapter_up.weight, width, 1) for adapter in adapters], dim=1),
            torch.stack([adapter.adapter_up.bias for adapter in adapters]),
        )

    def activations(self, hidden: Tensor) -> Tensor:
        """(batch, tokens, hidden) to all bottleneck activations, (batch, tokens, T, m)."""
        flat = torch.relu(nn.functional.linear(hidden, self.down_weight, self.down_bias))
        return flat.view(*flat.shape[:-1], self.up_bias.shape[0], -1)


def _padded(parameter: Tensor, width: int, dimension: int) -> Tensor:
    missing = width - parameter.shape[dimension]
    if missing == 0:
        return parameter
    shape = list(parameter.shape)
    shape[dimension] = missing
    return torch.cat([parameter, parameter.new_zeros(shape)], dim=dimension)
