"""Where a fusion looks: its mean attention by layer and adapter on a marketplace's rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from model_store.encoding.tokens import PairTokenizer
from model_store.network.interaction import AttentionMaps, Route
from model_store.network.relevance_network import RelevanceNetwork
from training.stages.labelled_tokens import LabelledTokens


def mean_attention(
    network: RelevanceNetwork, tokenizer: PairTokenizer, route: Route, data: LabelledTokens, token_budget: int
) -> list[list[float]]:
    """(layers, adapters): the mean over the rows' tokens that are not padding; each layer sums to 1.

    In an idle layer, where no adapter adds anything, it is the same for all.
    """
    sums = torch.zeros(network.depth, len(route.adapters), dtype=torch.float64)
    tokens = torch.zeros(network.depth, 1, dtype=torch.float64)
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for batch, _ in data.micro_batches(np.arange(len(data)), tokenizer, 0, token_budget, network.device):
            maps = AttentionMaps()
            network.pair_features(batch, route, maps)
            for layer, log_attention, mask in zip(_layers(network), maps.log_attention, maps.masks, strict=True):
                sums[layer] += _sum(log_attention, mask)
                tokens[layer] += int(mask.sum())
    network.train(was_training)
    sums[: network.idle_layers], tokens[: network.idle_layers] = 1 / len(route.adapters), 1
    means: list[list[float]] = (sums / tokens).tolist()
    return means


def _layers(network: RelevanceNetwork) -> list[int]:
    """The layer of every entry in the maps of one forward pass: queries, products, then both together."""
    layers = range(network.idle_layers, network.depth)
    boundary = network.depth - network.pair_encoding.joint_layers
    if network.pair_encoding.kind == "cross":
        return list(layers)
    lower = [layer for layer in layers if layer < boundary]
    return [*lower, *lower, *(layer for layer in layers if layer >= boundary)]


def _sum(log_attention: Tensor, mask: Tensor) -> Tensor:
    return (log_attention.exp() * mask.unsqueeze(-1)).sum((0, 1)).double().cpu()
