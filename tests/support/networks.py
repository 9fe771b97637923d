"""Random networks over the tiny encoder, for tests."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import BertModel, PreTrainedTokenizerFast

from model_store.encoding.configuration import PairEncoding
from model_store.encoding.tokens import PairTokenizer
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.network.relevance_network import RelevanceNetwork


def random_network(
    folder: Path,
    marketplaces: tuple[str, ...],
    *,
    interaction: str = "two_tower",
    head: HeadConfiguration | None = None,
    bottleneck: int = 8,
    seed: int = 0,
) -> RelevanceNetwork:
    """Adapters, a fusion "step" over them and a head, all with large random weights, in eval mode."""
    torch.manual_seed(seed)
    network = RelevanceNetwork(
        BertModel.from_pretrained(folder, add_pooling_layer=False),
        PairEncoding(interaction=interaction),
        AdapterConfiguration(bottleneck=bottleneck),
        FusionConfiguration(),
        head or HeadConfiguration(),
    )
    for name in marketplaces:
        network.add_adapter(name)
    network.add_fusion("step")
    network.heads.add("shared")
    for parameter in (*network.adapters.parameters(), *network.fusions.parameters()):
        parameter.data.add_(torch.randn_like(parameter) * 0.2)
    for parameter in network.heads.parameters():
        parameter.data.normal_()
    return network.eval()


def tokenizer_of(folder: Path, encoding: PairEncoding) -> PairTokenizer:
    return PairTokenizer(PreTrainedTokenizerFast.from_pretrained(folder), encoding)
