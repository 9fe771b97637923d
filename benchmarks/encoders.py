"""Networks to measure: ours and the `adapters` library's over one encoder."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

import adapters
import torch
from adapters.composition import Fuse
from transformers import BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.texts import compact_tokenizer
from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoding.configuration import PairEncoding
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.product import QueryProductPair

BOTTLENECK = 32
FUSION = "step-0001"
Size = Literal["mbert", "packaged"]


@dataclass(frozen=True, slots=True)
class Subject:
    """An encoder and its tokenizer: `mbert` has mBERT's shape and random weights, `packaged` is e5-small."""

    encoder: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def hidden_size(self) -> int:
        """Width of the encoder."""
        return int(self.encoder.config.hidden_size)


def subject_of(size: Size, pairs: list[QueryProductPair]) -> Subject:
    """The encoder of this size, in eval mode, and a tokenizer for these pairs."""
    if size == "packaged":
        return Subject(*parse_base_encoder("packaged").load())
    tokenizer = compact_tokenizer(pairs)
    torch.manual_seed(0)
    configuration = BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    encoder: PreTrainedModel = BertModel(configuration, add_pooling_layer=False).eval()
    return Subject(encoder, tokenizer)


def market_names(count: int) -> tuple[str, ...]:
    """Names of as many marketplaces."""
    return tuple(f"market{number:02d}" for number in range(count))


def network_of(
    subject: Subject, adapters_count: int, interaction: str = "cross"
) -> tuple[RelevanceNetwork, Route]:
    """Our network with random adapters and a fusion over them (none with one adapter)."""
    network = RelevanceNetwork(
        _sharing_embeddings(subject.encoder),
        PairEncoding(interaction=interaction),
        AdapterConfiguration(bottleneck=BOTTLENECK),
        FusionConfiguration(),
        HeadConfiguration(),
    )
    torch.manual_seed(0)
    names = market_names(adapters_count)
    for name in names:
        network.add_adapter(name)
    network.add_fusion(FUSION)
    network.heads.add("shared")
    for parameter in network.heads.parameters():
        # As it starts, the head gives every pair the same score.
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval(), Route(names, FUSION if adapters_count > 1 else None)


def library_model(subject: Subject, adapters_count: int) -> Any:
    """The library's model with as many adapters of the same kind, fused."""
    model = _sharing_embeddings(subject.encoder)
    adapters.init(model)
    names = market_names(adapters_count)
    for name in names:
        model.add_adapter(name, config=adapters.SeqBnConfig(reduction_factor=subject.hidden_size / BOTTLENECK))
    if adapters_count > 1:
        fuse = Fuse(*names, name=FUSION)
        model.add_adapter_fusion(fuse)
        model.set_active_adapters(fuse)
    else:
        model.set_active_adapters(names[0])
    return model.eval()


def _sharing_embeddings(encoder: PreTrainedModel) -> Any:
    """A copy whose embeddings are the original's: they are the larger part of a multilingual encoder."""
    return copy.deepcopy(encoder, {id(encoder.embeddings): encoder.embeddings})
