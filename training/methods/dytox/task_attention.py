"""DyTox's task attention (Douillard et al. 2022) over a text encoder: a learned token a marketplace."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from model_store.encoding.configuration import PairEncoding
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.network.interaction import AttentionMaps, Route
from model_store.network.relevance_network import RelevanceNetwork

_STANDARD_DEVIATION = 0.02


class TaskAttention(nn.Module):
    """One block whose only queries are task tokens, as the reference's class attention, and an output projection.

    A task token attends over itself and the text's tokens, never over other task tokens, and passes a
    feed-forward layer, both with residuals. The output projection, which the reference lacks, starts at zero: the
    pooled text starts as what the encoder alone gives.
    """

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(hidden_size)
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)
        self.value = nn.Linear(hidden_size, hidden_size, bias=False)
        self.projection = nn.Linear(hidden_size, hidden_size)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(hidden_size),
            nn.Linear(hidden_size, 4 * hidden_size),
            nn.GELU(),
            nn.Linear(4 * hidden_size, hidden_size),
        )
        self.output = nn.Linear(hidden_size, hidden_size)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=_STANDARD_DEVIATION)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.zeros_(self.output.weight)

    def forward(self, task_tokens: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
        """(T, hidden) task tokens read (texts, tokens, hidden) where the mask is true: (texts, T, hidden)."""
        own, text = self.norm(task_tokens), self.norm(hidden)
        query, own_key, own_value = (self._split(layer(own)) for layer in (self.query, self.key, self.value))
        key, value = self._split(self.key(text)), self._split(self.value(text))  # (texts, heads, tokens, size)
        scale = query.shape[-1] ** -0.5
        seen = (query @ key.transpose(-1, -2)) * scale  # (texts, heads, T, tokens)
        seen = seen.masked_fill(~mask[:, None, None, :], torch.finfo(seen.dtype).min)
        itself = (query * own_key).sum(-1, keepdim=True) * scale  # (heads, T, 1)
        weights = torch.softmax(torch.cat([itself.expand(len(seen), -1, -1, -1), seen], dim=-1), dim=-1)
        weights = weights.to(value.dtype)
        mixed = weights[..., :1] * own_value + weights[..., 1:] @ value
        state = task_tokens + self.projection(mixed.transpose(1, 2).flatten(2))
        output: Tensor = self.output(state + self.feed_forward(state))
        return output

    def _split(self, projected: Tensor) -> Tensor:
        """(..., tokens, hidden) to (..., heads, tokens, size)."""
        return projected.view(*projected.shape[:-1], self.heads, -1).transpose(-2, -3)


class TaskTokenNetwork(RelevanceNetwork):
    """A relevance network without adapters, pooled by task attention.

    A route names the marketplaces whose tokens read the texts. With one of them everything has the shape that it
    has in any network; with T of them the pair features are (pairs, T, features), from one pass of the encoder.
    """

    def __init__(self, encoder: PreTrainedModel, pair_encoding: PairEncoding, head: HeadConfiguration) -> None:
        super().__init__(encoder, pair_encoding, AdapterConfiguration(), FusionConfiguration(), head)
        self.task_attention = TaskAttention(self.hidden_size, self.encoder.heads)
        self.task_tokens = nn.ParameterDict()

    def add_task(self, name: str) -> None:
        """Add a marketplace's task token, random as in the reference."""
        token = nn.init.trunc_normal_(torch.empty(self.hidden_size), std=_STANDARD_DEVIATION)
        self.task_tokens[name] = nn.Parameter(token.to(self.device))

    def run_layers(
        self,
        hidden: Tensor,
        mask: Tensor,
        padded: bool,
        route: Route,  # noqa: ARG002 - the layers are the same for all marketplaces
        maps: AttentionMaps | None,
        first: int = 0,
        last: int | None = None,
    ) -> Tensor:
        """As in `PairNetwork`."""
        return super().run_layers(hidden, mask, padded, Route(), maps, first, last)

    def pool(self, hidden: Tensor, mask: Tensor, route: Route, first_token: bool = False) -> Tensor:
        """What the encoder alone gives, plus what the route's task tokens read; without any, the former."""
        pooled = super().pool(hidden, mask, route, first_token)
        if not route.adapters:
            return pooled
        read = self.task_attention(self._stacked(route.adapters), hidden, mask)
        together: Tensor = pooled.unsqueeze(1) + read
        return together.squeeze(1) if len(route.adapters) == 1 else together

    def _stacked(self, names: Iterable[str]) -> Tensor:
        return torch.stack([self.task_tokens[name] for name in names])
