"""CTR's transfer routing (Ke et al. 2021a): a text decides which tasks' capsules it takes, and how much."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNELS = (3, 4, 5)


@dataclass(frozen=True, slots=True)
class TransferDecision:
    """What a text takes from T tasks.

    Args:
        gate: (texts, T), 1 where the task's capsule passes and 0 where not.
        similarity: (texts, T, semantic capsules, size), by which it is multiplied.
    """

    gate: Tensor
    similarity: Tensor

    def route(self, predictions: Tensor) -> Tensor:
        """(texts, tokens, T, semantic capsules, size) to mixtures (texts, tokens, semantic capsules, size)."""
        weights = self.gate[..., None, None] * self.similarity
        return (weights.unsqueeze(1) * predictions).sum(2)


class TransferRouting(nn.Module):
    """Convolutions over a text's capsules, whose largest responses decide about the transfer.

    The similarity of task i to the newest task t comes from the capsules of i, read in the light of those of t.
    """

    def __init__(self, semantic_capsules: int, size: int, channels: int) -> None:
        super().__init__()
        self.shape = (semantic_capsules, size)
        features = semantic_capsules * size
        self.own = nn.ModuleList(nn.Conv1d(features, channels, kernel, padding=kernel - 1) for kernel in KERNELS)
        self.other = nn.ModuleList(
            nn.Conv1d(features, channels, kernel, padding=kernel - 1) for kernel in KERNELS
        )
        self.light = nn.Linear(len(KERNELS) * channels, channels)
        self.similarity = nn.Linear(len(KERNELS) * channels, features)
        self.gate = nn.Linear(len(KERNELS) * channels, 2)

    def forward(self, predictions: Tensor, mask: Tensor, sampled: bool) -> TransferDecision:
        """Decide for every text about every visible task, the last of which is its own.

        Args:
            predictions: (texts, tokens, T, semantic capsules, size).
            mask: (texts, tokens) bool, False at padding, which changes nothing.
            sampled: draw the gates (Gumbel, straight-through), as in training; else take the likelier side.
        """
        texts, _, tasks = predictions.shape[:3]
        capsules = _without_gaps(predictions.flatten(3) * mask[..., None, None], mask)
        own = _strongest(self.own, capsules[:, :, -1], mask)
        light = self.light(own).repeat_interleave(tasks, 0)  # (texts * T, channels)
        each = capsules.transpose(1, 2).flatten(0, 1)  # (texts * T, tokens, features)
        found = _strongest(self.other, each, mask.repeat_interleave(tasks, 0), light)
        gates = self.gate(found).float()
        opened = functional.gumbel_softmax(gates, hard=True)[:, 0] if sampled else (gates[:, 0] >= gates[:, 1])
        similarity: Tensor = self.similarity(found).view(texts, tasks, *self.shape)
        return TransferDecision(opened.to(similarity.dtype).view(texts, tasks), similarity)


def _without_gaps(capsules: Tensor, mask: Tensor) -> Tensor:
    """Move padding behind the text, so that a joint text's responses do not depend on its batch."""
    order = (~mask).to(torch.int8).argsort(dim=1, stable=True)
    return capsules.gather(1, order[..., None, None].expand_as(capsules))


def _strongest(
    convolutions: nn.ModuleList, capsules: Tensor, mask: Tensor, light: Tensor | None = None
) -> Tensor:
    """Largest rectified response over the places of a text that a window touches, (texts, kernels * channels).

    The kernels are run as one, the smaller ones filled up with zeros: on a CPU many small steps are what costs.

    Args:
        capsules: (texts, tokens, features), zero at padding, which is last.
        light: (texts, channels) added to every response.
    """
    layers = [layer for layer in convolutions if isinstance(layer, nn.Conv1d)]
    widest, channels = KERNELS[-1], layers[0].out_channels
    weights = [
        functional.pad(layer.weight, (widest - kernel, 0)) for layer, kernel in zip(layers, KERNELS, strict=True)
    ]
    bias = torch.cat([layer.bias for layer in layers if layer.bias is not None])
    response = functional.conv1d(capsules.transpose(1, 2), torch.cat(weights), bias, padding=widest - 1)
    if light is not None:
        response = response + light.repeat(1, len(KERNELS)).unsqueeze(2)
    reach = torch.tensor(KERNELS, device=mask.device).repeat_interleave(channels) - 1
    ends = mask.sum(1)[:, None] + reach  # (texts, kernels * channels): first place beyond the text
    places = torch.arange(response.shape[2], device=mask.device)
    touched = places[None, None, :] < ends.unsqueeze(2)
    strongest: Tensor = response.masked_fill(~touched, 0.0).max(2).values
    return torch.relu(strongest)
