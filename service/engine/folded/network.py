"""The network as it is served: no modules for adapters and fusion, only their folded matrices."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import GELUActivation

from model_store.encoding.batch import TextBatch
from model_store.network.encoder_layers import attention_bias
from model_store.network.interaction import AttentionMaps, PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from service.engine.folded.fold import FoldedLayer, fold_layer
from service.engine.folded.linear import FastLinear

_FEW_TEXTS = 2


def token_attention(query: Tensor, key: Tensor, value: Tensor, kept: Tensor | None) -> Tensor:
    """softmax(query key^T / sqrt(size)) value, (texts, heads, tokens, size) each.

    In bf16 on a CPU the products are written out: the kernel of `scaled_dot_product_attention` takes 2 to 3 times
    as long on texts of 32 to 128 tokens (measured: docs/log.md).

    Args:
        kept: (texts, 1, 1, tokens) bool, False at padding; None where there is none.
    """
    if query.dtype != torch.bfloat16 or query.device.type != "cpu" or len(query) <= _FEW_TEXTS:
        return functional.scaled_dot_product_attention(query, key, value, kept)
    texts, heads, tokens, size = query.shape
    stacked = torch.stack([query, key, value]).view(3, texts * heads, tokens, size)
    added = query.new_zeros(1, 1, 1) if kept is None else _mask(kept, query)
    scores = torch.baddbmm(added, stacked[0], stacked[1].transpose(1, 2), alpha=size**-0.5)
    # Without a type the kernel falls back to single numbers where `tokens` is not a multiple of 32.
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return torch.bmm(weights, stacked[2]).view(texts, heads, tokens, size)


def _mask(kept: Tensor, query: Tensor) -> Tensor:
    """(texts * heads, 1, tokens): the lowest number at padding."""
    texts, heads, tokens, _ = query.shape
    lowest = torch.finfo(query.dtype).min
    mask = query.new_zeros(texts, 1, tokens).masked_fill_(~kept[:, 0], lowest)
    return mask.expand(texts, heads, tokens).reshape(texts * heads, 1, tokens)


_FINEST_STEP = 16
_STEPS_PER_OCTAVE = 8


def rounded_rows(rows: int) -> int:
    """The next size up: a multiple of 16, from 128 rows on one of 8 sizes between two powers of two.

    oneDNN makes code for every number of rows that it meets. That takes half a millisecond and half a megabyte
    for each of a layer's eight products, far more than a few unused rows do.
    """
    step = max(_FINEST_STEP, (1 << (rows - 1).bit_length()) // (2 * _STEPS_PER_OCTAVE))
    return -(-rows // step) * step


def with_rows(tokens: Tensor, rows: int) -> Tensor:
    """(n, size) to (rows, size), zeros behind; the tensor itself where it has as many."""
    if len(tokens) == rows:
        return tokens
    filled = tokens.new_empty(rows, tokens.shape[1])
    filled[: len(tokens)] = tokens
    filled[len(tokens) :] = 0
    return filled


class FoldedNetwork(PairNetwork):
    """Scores as the network that it is folded from: one route, inference only.

    Query, key and value projections of a layer are one product, adapters and fusion are two small ones.

    Args:
        network: holds the route's adapters and fusion; its embeddings and heads are shared, not copied.
        route: what is folded. Every call must name the same.
        dtype: of the layers; embeddings, pooling and heads stay float32.
        layers: only the first so many, to see how fast they are; all by default.
    """

    def __init__(
        self,
        network: RelevanceNetwork,
        route: Route,
        dtype: torch.dtype = torch.float32,
        *,
        layers: int | None = None,
    ) -> None:
        depth, encoding = network.depth, network.pair_encoding
        if layers is not None:
            # Fewer layers than `late(k)` may ask for.
            depth, encoding = min(layers, depth), encoding.model_copy(update={"interaction": "cross"})
        super().__init__(encoding, network.heads.configuration, depth, network.hidden_size)
        self.route = route
        self.heads = network.heads
        self.embeddings = TextEmbeddings(network)
        self.layers = nn.ModuleList(
            FoldedEncoderLayer(layer, network.encoder.heads, fold_layer(network, number, route))
            for number, layer in enumerate(network.encoder.encoder.encoder.layer[:depth])
        )
        self.encoder_layers = [layer for layer in self.layers if isinstance(layer, FoldedEncoderLayer)]
        self.dtype = dtype
        self._packed = False
        self.layers.to(dtype)
        self.eval()
        self.requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.layers.parameters()).device

    def pack(self) -> FoldedNetwork:
        """Lay out the weights for the fastest products; the network can then neither be moved nor exported."""
        for module in self.layers.modules():
            if isinstance(module, FastLinear):
                module.pack()
        self._packed = self.device.type == "cpu"
        return self

    def embed(self, texts: TextBatch) -> Tensor:
        """As in `PairNetwork`."""
        hidden: Tensor = self.embeddings(texts)
        return hidden

    def run_layers(
        self,
        hidden: Tensor,
        mask: Tensor,
        padded: bool,
        route: Route,
        maps: AttentionMaps | None,
        first: int = 0,
        last: int | None = None,
    ) -> Tensor:
        """As in `PairNetwork`.

        Raises:
            ValueError: the route is not the one that was folded.
        """
        if route != self.route:
            raise ValueError(f"folded for {self.route}, asked for {route}")
        bias = attention_bias(mask, padded)
        hidden = hidden.to(self.dtype)
        texts, tokens = mask.shape
        if self._packed:
            hidden = with_rows(hidden.flatten(0, 1), rounded_rows(texts * tokens))
        for layer in self.layers[first : self.depth if last is None else last]:
            hidden, log_attention = layer(hidden, bias, maps is not None, (texts, tokens))
            if maps is not None:
                maps.append(_as_texts(log_attention, texts, tokens), mask)
        return _as_texts(hidden, texts, tokens).float()


def _as_texts(hidden: Tensor, texts: int, tokens: int) -> Tensor:
    """(texts, tokens, size) of the same, or of its rows, behind which there may be more."""
    return hidden if hidden.dim() == 3 else hidden[: texts * tokens].view(texts, tokens, -1)


class TextEmbeddings(nn.Module):
    """An encoder's embeddings, shared with it."""

    def __init__(self, network: RelevanceNetwork) -> None:
        super().__init__()
        self._embeddings = network.encoder.encoder.embeddings
        self._token_types = int(network.encoder.encoder.config.type_vocab_size)

    def forward(self, texts: TextBatch) -> Tensor:
        """Token, position and type embeddings, (texts, tokens, hidden)."""
        types = texts.token_types.clamp_max(self._token_types - 1)
        hidden: Tensor = self._embeddings(input_ids=texts.token_ids, token_type_ids=types)
        return hidden


class FeedForward(nn.Module):
    """A layer's two wide products, with what they are added to."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.activation = layer.intermediate.intermediate_act_fn
        self.wide = FastLinear.of(layer.intermediate.dense.weight, layer.intermediate.dense.bias)
        self.narrow = FastLinear.of(layer.output.dense.weight, layer.output.dense.bias)

    @property
    def is_gelu(self) -> bool:
        """Whether the activation is the exact GELU, which products take along."""
        return isinstance(self.activation, GELUActivation | nn.GELU)

    def forward(self, attended: Tensor) -> Tensor:
        """attended + narrow(activation(wide(attended))), (texts, tokens, hidden)."""
        widened = self.wide.gelu(attended) if self.is_gelu else self.activation(self.wide(attended))
        return self.narrow.added_to(attended, widened)


class FoldedEncoderLayer(nn.Module):
    """One layer of a BERT-family encoder with the folded adapters and fusion after its feed-forward."""

    def __init__(self, layer: Any, heads: int, folded: FoldedLayer | None) -> None:
        super().__init__()
        projections = [layer.attention.self.query, layer.attention.self.key, layer.attention.self.value]
        self.heads = heads
        self.projection = FastLinear.of(
            torch.cat([linear.weight for linear in projections]),
            torch.cat([linear.bias for linear in projections]),
        )
        self.attended = FastLinear.of(layer.attention.output.dense.weight, layer.attention.output.dense.bias)
        self.attended_norm = copy.deepcopy(layer.attention.output.LayerNorm)
        self.feed_forward: nn.Module = FeedForward(layer)
        self.norm = copy.deepcopy(layer.output.LayerNorm)
        self.adapters = folded.adapters if folded else 0
        if folded:
            self.inner = FastLinear.of(folded.inner_weight, folded.inner_bias)
            self.outer = FastLinear.of(folded.outer_weight, folded.outer_bias)
            self.fused = folded.outer_bias is None

    def forward(
        self, hidden: Tensor, bias: Tensor | None, with_attention: bool, shape: tuple[int, int]
    ) -> tuple[Tensor, Tensor | None]:
        """The layer's output, shaped like its input, and the log attention over the adapters if asked for.

        Args:
            hidden: (texts, tokens, hidden), or (rows, hidden): the texts' tokens and rows that are not used.
            shape: texts and tokens.
        """
        attended = self._attended(hidden, bias, *shape)
        total: Tensor = self.feed_forward(attended)
        normed: Tensor = self.norm(total)
        if not self.adapters:
            return normed, None
        inner = self.inner(normed)
        weighted, logits = self._fused(inner) if self.fused else (inner.relu_(), None)
        normed = self.norm(self.outer.added_to(total, weighted))
        if not with_attention:
            return normed, None
        if logits is None:
            return normed, total.new_zeros(*total.shape[:-1], 1)
        return normed, torch.log_softmax(logits.float(), dim=-1)

    def _attended(self, hidden: Tensor, bias: Tensor | None, texts: int, tokens: int) -> Tensor:
        projected = _as_texts(self.projection(hidden), texts, tokens)
        query, key, value = projected.view(texts, tokens, 3, self.heads, -1).transpose(1, 3).unbind(2)
        context = token_attention(query, key, value, bias).transpose(1, 2)
        if hidden.dim() == 3:
            context = context.reshape(hidden.shape)
        else:
            context = with_rows(context.reshape(texts * tokens, -1), len(hidden))
        normed: Tensor = self.attended_norm(self.attended.added_to(hidden, context))
        return normed

    def _fused(self, inner: Tensor) -> tuple[Tensor, Tensor]:
        units = (inner.shape[-1] - self.adapters) // 2
        shape = (*inner.shape[:-1], self.adapters, units // self.adapters)
        activations = inner[..., :units].relu().view(shape)
        agreement = (inner[..., units : 2 * units].reshape(shape) * activations).sum(-1)
        logits = agreement + inner[..., 2 * units :]
        attention = torch.softmax(logits, dim=-1)
        weighted = torch.cat([(activations * attention.unsqueeze(-1)).flatten(-2), attention], dim=-1)
        return weighted, logits
