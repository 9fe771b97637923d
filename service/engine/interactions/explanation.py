"""Which marketplace's adapter a score came from: the fusion's attention, per pair and layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_store.encoding.batch import JointBatch, PairBatch
from model_store.encoding.tokens import PairTokenizer, TokenizedPairs
from model_store.network.interaction import AttentionMaps, PairNetwork, Route
from service.engine.interactions.interaction import tight_batches


@dataclass(frozen=True, slots=True)
class PairExplanation:
    """Mean attention over a pair's tokens, special ones too; each row sums to 1 over the adapters."""

    adapters: tuple[str, ...]
    layers: np.ndarray  # (layers, adapters) float32

    @property
    def weights(self) -> dict[str, float]:
        """Mean over tokens and layers, by marketplace."""
        return dict(zip(self.adapters, self.layers.mean(0).tolist(), strict=True))

    @property
    def weights_by_layer(self) -> list[dict[str, float]]:
        """Mean over tokens of each layer, from the lowest, by marketplace."""
        return [dict(zip(self.adapters, layer, strict=True)) for layer in self.layers.tolist()]


def explain(
    network: PairNetwork, tokenizer: PairTokenizer, route: Route, tokenized: TokenizedPairs, token_budget: int
) -> list[PairExplanation]:
    """One explanation for each of the tokenized pairs; the pairs go through the network once more."""
    found: list[PairExplanation | None] = [None] * len(tokenized)
    for rows in tight_batches(tokenized.lengths(), token_budget):
        batch = tokenizer.batch(tokenized, rows, [0] * len(rows)).to(network.device)
        maps = AttentionMaps()
        network.pair_features(batch, route, maps)
        means = _token_means(maps, batch, network)
        for place, layers in zip(rows, means.cpu().numpy(), strict=True):
            found[place] = PairExplanation(route.adapters, layers)
    return [explanation for explanation in found if explanation is not None]


def _token_means(maps: AttentionMaps, batch: PairBatch, network: PairNetwork) -> Tensor:
    """(pairs, layers, adapters) of a batch's maps, which come in the order in which the network ran."""
    sums = [
        _token_sums(log.float().exp(), mask) for log, mask in zip(maps.log_attention, maps.masks, strict=True)
    ]
    if isinstance(batch, JointBatch):
        layers = sums
    else:
        lower = network.depth - network.pair_encoding.joint_layers
        queries = [part[batch.query_index] for part in sums[:lower]]
        products = [part[batch.product_index] for part in sums[lower : 2 * lower]]
        layers = [query + product for query, product in zip(queries, products, strict=True)] + sums[2 * lower :]
    total = torch.stack(layers, dim=1)
    return total / total.sum(-1, keepdim=True)


def _token_sums(attention: Tensor, mask: Tensor) -> Tensor:
    """(texts, adapters): the attention of each text's tokens, padding left out."""
    return (attention * mask.unsqueeze(-1)).sum(1)
