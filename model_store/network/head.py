"""Classification heads: linear functions of pair features, one or one per marketplace."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from model_store.network.configuration import HeadConfiguration

INITIAL_COSINE_SCALE = 10.0
SHARED_HEAD = "shared"


class RelevanceHeads(nn.Module):
    """Named linear heads over features of a pair; the logit's sigmoid is the relevance score.

    With two classes, the difference of a two-output linear layer's logits is one linear function: the
    paper's head has one output here.
    """

    def __init__(self, configuration: HeadConfiguration, hidden_size: int) -> None:
        super().__init__()
        self.configuration = configuration
        self.feature_size = 4 * hidden_size + 1 if configuration.kind == "similarity" else hidden_size
        self.weights = nn.ParameterDict()
        self.biases = nn.ParameterDict()

    @property
    def names(self) -> list[str]:
        """Head names in the order of `PairBatch.head_index`."""
        return list(self.weights.keys())

    def add(self, name: str, start_from: str | None = None) -> None:
        """Add a head: a copy of another one, the cosine (similarity), or small random weights (linear)."""
        if start_from is not None:
            weight = self.weights[start_from].detach().clone()
            bias = self.biases[start_from].detach().clone()
        elif self.configuration.kind == "similarity":
            weight = torch.zeros(self.feature_size)
            weight[-1] = INITIAL_COSINE_SCALE
            bias = torch.zeros(1)
        else:
            weight = torch.randn(self.feature_size) * 0.02
            bias = torch.zeros(1)
        self.weights[name] = nn.Parameter(weight)
        self.biases[name] = nn.Parameter(bias)

    def set_cosine(self, name: str, scale: float, bias: float) -> None:
        """Make a similarity head the calibrated cosine: scale * cosine + bias."""
        with torch.no_grad():
            self.weights[name].zero_()
            self.weights[name][-1] = scale
            self.biases[name].fill_(bias)

    def rescale(self, name: str, slope: float, intercept: float) -> None:
        """Turn the head's logits into slope * logit + intercept."""
        with torch.no_grad():
            self.weights[name].mul_(slope)
            self.biases[name].mul_(slope).add_(intercept)

    def parameters_of(self, name: str) -> Iterable[nn.Parameter]:
        """Weight and bias of one head."""
        return (self.weights[name], self.biases[name])

    def forward(self, features: Tensor, head_index: Tensor) -> Tensor:
        """(batch, features) and (batch) head numbers to logits (batch).

        Never in mixed precision: a bfloat16 holds a logit near 20 to one eighth, which makes ties of a ranking.
        """
        with torch.autocast(features.device.type, enabled=False):
            return self._logits(features, head_index)

    def _logits(self, features: Tensor, head_index: Tensor) -> Tensor:
        if len(self.weights) == 1:
            name = self.names[0]
            logits: Tensor = features @ self.weights[name] + self.biases[name]
            return logits
        weights = torch.stack([self.weights[name] for name in self.names])
        biases = torch.cat([self.biases[name] for name in self.names])
        return (features * weights[head_index]).sum(-1) + biases[head_index]


def similarity_features(query: Tensor, product: Tensor) -> Tensor:
    """[q, p, |q - p|, q * p, cosine] of two (batch, hidden) token means, q and p normalised.

    Returns:
        (batch, 4 * hidden + 1); the cosine is last.
    """
    query = nn.functional.normalize(query, dim=-1)
    product = nn.functional.normalize(product, dim=-1)
    agreement = query * product
    cosine = agreement.sum(-1, keepdim=True)
    return torch.cat([query, product, (query - product).abs(), agreement, cosine], dim=-1)
