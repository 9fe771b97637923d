"""AdapterFusion (Pfeiffer et al. 2020a; eqs. 1-4 of the paper) in its associative form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model_store.network.adapters import INITIAL_STANDARD_DEVIATION, StackedAdapters

_OFF_DIAGONAL = 1e-6


class AdapterFusion(nn.Module):
    """Attention of a layer's feed-forward output over T adapters, with differentiable attention.

    The function and the parameter names are those of `adapters`' BertFusion at temperature 1. The work is
    not: the key is applied to the query instead of to every adapter's output (K^T (Q h + q)), the value to
    the mixture, and the mixture is taken between the adapters' projections, so that no up-projection of any
    single adapter is ever made. Cost grows with T times the bottleneck, not with T times the hidden size.
    """

    def __init__(self, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size, bias=False)
        self.dropout = nn.Dropout(dropout)
        for linear in (self.query, self.key):
            nn.init.normal_(linear.weight, std=INITIAL_STANDARD_DEVIATION)
            nn.init.zeros_(linear.bias)
        with torch.no_grad():
            self.value.weight.fill_(_OFF_DIAGONAL).fill_diagonal_(1.0)

    def forward(self, hidden: Tensor, residual: Tensor, adapters: StackedAdapters) -> tuple[Tensor, Tensor]:
        """Mix the adapters' outputs.

        Args:
            hidden: query and adapter input h, (batch, tokens, hidden).
            residual: feed-forward output, (batch, tokens, hidden).
            adapters: the layer's T adapters.

        Returns:
            The mixture plus the residual, (batch, tokens, hidden), and the logarithm of the attention over
            the adapters, (batch, tokens, T).
        """
        activations = adapters.activations(hidden)  # (batch, tokens, T, m)
        query = self.query(hidden)
        keyed = query @ self.key.weight  # K^T (Q h + q)
        logits = keyed @ adapters.up_bias.T + (query @ self.key.bias).unsqueeze(-1)
        logits = logits + ((keyed @ adapters.up_weight).view_as(activations) * activations).sum(-1)
        log_attention = torch.log_softmax(self.dropout(logits).float(), dim=-1)
        attention = log_attention.exp().to(activations.dtype)
        weighted = (attention.unsqueeze(-1) * activations).flatten(-2)
        mixture = nn.functional.linear(weighted, adapters.up_weight) + attention @ adapters.up_bias
        return self.value(mixture) + residual, log_attention
