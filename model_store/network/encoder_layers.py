"""A BERT-family encoder taken apart at the places where adapters sit: after the sub-layers of every layer.

What a layer does to single tokens is not done to padding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from model_store.encoding.batch import TextBatch

_WORTH_PACKING = 0.95
"""Share of tokens that are none of padding from which on packing costs more than it saves."""


@dataclass(frozen=True, slots=True)
class TokenPacking:
    """The places of a batch's tokens among its padding.

    Everything but the attention works on tokens one by one, and then on `(1, tokens of all texts, size)` as
    well as on `(texts, tokens, size)`.
    """

    texts: int
    width: int
    places: Tensor  # (tokens of all texts) int64, in the batch laid out row by row

    @classmethod
    def of(cls, mask: Tensor, padded: bool) -> TokenPacking | None:
        """The packing of (texts, tokens) bool, False at padding; None where there is too little padding."""
        if not padded:
            return None
        places = mask.flatten().nonzero().squeeze(1)
        if len(places) > _WORTH_PACKING * mask.numel():
            return None
        return cls(mask.shape[0], mask.shape[1], places)

    def pack(self, padded: Tensor) -> Tensor:
        """(texts, tokens, size) to (1, tokens of all texts, size)."""
        return padded.flatten(0, 1).index_select(0, self.places).unsqueeze(0)

    def unpack(self, packed: Tensor) -> Tensor:
        """(1, tokens of all texts, size) to (texts, tokens, size), zero at padding."""
        padded = packed.new_zeros(self.texts * self.width, packed.shape[-1])
        return padded.index_copy(0, self.places, packed[0]).view(self.texts, self.width, -1)


class EncoderLayers(nn.Module):
    """Embeddings and layers of a BERT, RoBERTa or XLM-RoBERTa encoder.

    A layer is run as attention, feed-forward and final LayerNorm, so that what stands between the last two
    (an adapter, a fusion) can be put in without hooks; what stands before the attention's LayerNorm is handed
    in. Dropout is the encoder's own and acts in training.
    """

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.depth: int = len(encoder.encoder.layer)
        self.hidden_size: int = int(encoder.config.hidden_size)
        self.heads: int = int(encoder.config.num_attention_heads)

    @property
    def word_embeddings(self) -> nn.Module:
        """The vocabulary's embedding, which full fine-tuning replaces for a while."""
        module: nn.Module = self.encoder.embeddings.word_embeddings
        return module

    def replace_word_embeddings(self, module: nn.Module) -> None:
        """Put another module in the vocabulary's place."""
        self.encoder.embeddings.word_embeddings = module

    def embed(self, texts: TextBatch) -> Tensor:
        """Token, position and type embeddings, (texts, tokens, hidden)."""
        embeddings = self.encoder.embeddings
        types = texts.token_types.clamp_max(int(self.encoder.config.type_vocab_size) - 1)
        hidden: Tensor = embeddings(input_ids=texts.token_ids, token_type_ids=types)
        return hidden

    def sublayers(
        self,
        number: int,
        hidden: Tensor,
        bias: Tensor | None,
        after_attention: Callable[[Tensor], Tensor] | None = None,
        packing: TokenPacking | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Attention and feed-forward of layer `number`.

        Args:
            hidden: (texts, tokens, hidden), or packed.
            after_attention: what the attention's output goes through before its residual and LayerNorm.
            packing: how `hidden` is packed; None where it is not.

        Returns:
            The feed-forward output before its residual, and the attention sub-layer's output, which is
            that residual; both of the shape of `hidden`.
        """
        layer = self.encoder.encoder.layer[number]
        attention = layer.attention.output
        context = attention.dropout(attention.dense(self._attention(layer.attention, hidden, bias, packing)))
        attended = attention.LayerNorm((after_attention(context) if after_attention else context) + hidden)
        output = layer.output.dense(layer.intermediate(attended))
        return layer.output.dropout(output), attended

    def normalise(self, number: int, hidden: Tensor) -> Tensor:
        """The LayerNorm that closes layer `number`."""
        normalised: Tensor = self.encoder.encoder.layer[number].output.LayerNorm(hidden)
        return normalised

    def _attention(
        self, attention: nn.Module, hidden: Tensor, bias: Tensor | None, packing: TokenPacking | None
    ) -> Tensor:
        projections = attention.self
        projected = [
            linear(hidden)  # type: ignore[operator]
            for linear in (projections.query, projections.key, projections.value)  # type: ignore[union-attr]
        ]
        if packing:
            projected = [packing.unpack(one) for one in projected]
        query, key, value = (one.unflatten(-1, (self.heads, -1)).transpose(1, 2) for one in projected)
        dropout = float(projections.dropout.p) if self.training else 0.0  # type: ignore[arg-type, union-attr]
        attend = written_out_attention if _backward_is_slow(query) else nn.functional.scaled_dot_product_attention
        context = attend(query, key, value, bias, dropout).transpose(1, 2).flatten(2)
        return packing.pack(context) if packing else context


def _backward_is_slow(query: Tensor) -> bool:
    """The CPU kernel's backward in bf16 takes 4 to 8 times as long as the products written out."""
    return query.requires_grad and query.device.type == "cpu" and query.dtype == torch.bfloat16


def written_out_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float
) -> Tensor:
    """Scaled dot-product attention as torch defines it: (batch, heads, tokens, size), bool bias, dropout rate."""
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if bias is not None:
        scores = scores.masked_fill(~bias, torch.finfo(scores.dtype).min)
    weights = nn.functional.dropout(torch.softmax(scores.float(), -1), dropout)
    return weights.to(value.dtype) @ value


def attention_bias(mask: Tensor, padded: bool) -> Tensor | None:
    """(texts, 1, 1, tokens) bool for scaled dot-product attention; None where nothing is padded."""
    return mask[:, None, None, :] if padded else None
