"""Networks of a given size with random weights, ours and the `adapters` library's over the same encoder."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import adapters
import torch
from adapters.composition import Fuse
from transformers import BertConfig, BertModel

from model_store.network import RelevanceNetwork
from model_store.network_configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.pair_encoding import PairEncoding
from model_store.pair_network import Route

VOCABULARY = 8192
"""Small, as the embedding look-up costs the same for any size."""


@dataclass(frozen=True, slots=True)
class Size:
    """Shape of an encoder."""

    layers: int
    hidden: int
    heads: int
    bottleneck: int = 32


SIZES = {"mbert": Size(12, 768, 12), "e5-small": Size(12, 384, 12)}


def random_encoder(size: Size) -> BertModel:
    """A BERT of this size in eval mode."""
    torch.manual_seed(0)
    configuration = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.hidden,
    )
    encoder: BertModel = BertModel(configuration, add_pooling_layer=False).eval()
    return encoder


def random_network(encoder: BertModel, size: Size, count: int) -> tuple[RelevanceNetwork, Route]:
    """Our network with `count` adapters and a fusion over them (none with one adapter)."""
    network = RelevanceNetwork(
        copy.deepcopy(encoder),
        PairEncoding(interaction="cross"),
        AdapterConfiguration(bottleneck=size.bottleneck),
        FusionConfiguration(),
        HeadConfiguration(),
    )
    names = tuple(f"market{number:02d}" for number in range(count))
    for name in names:
        network.add_adapter(name)
    network.add_fusion("step-0001")
    network.heads.add("shared")
    return network.eval(), Route(names, "step-0001" if count > 1 else None)


def library_model(encoder: BertModel, size: Size, count: int) -> BertModel:
    """The library's model with as many adapters of the same kind, fused."""
    model: BertModel = copy.deepcopy(encoder)
    adapters.init(model)
    names = [f"market{number:02d}" for number in range(count)]
    for name in names:
        model.add_adapter(name, config=adapters.SeqBnConfig(reduction_factor=size.hidden / size.bottleneck))
    if count > 1:
        fuse = Fuse(*names, name="step-0001")
        model.add_adapter_fusion(fuse)
        model.set_active_adapters(fuse)
    else:
        model.set_active_adapters(names[0])
    return model.eval()
