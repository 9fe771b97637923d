"""Folds adapters and fusion of a layer into two matrices, exactly (design: fusion that costs nothing to serve).

With h the fusion's query input, adapter t giving u_t = U_t a_t + b_t from a_t = relu(D_t h + d_t), and K, Q, V
the fusion's matrices (q the query's bias; the key's bias is equal for all t and leaves the softmax):

    score_t = (Q h + q)^T K u_t = g_t . a_t + c_t
    g_t = (U_t^T K^T Q) h + U_t^T K^T q        c_t = (b_t^T K^T Q) h + b_t^T K^T q
    out = residual + sum_t p_t (V U_t) a_t + p_t (V b_t)

so one product takes h to all a_t, g_t and c_t, and one takes p_t a_t and p_t to the output.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model_store.network.adapters import StackedAdapters
from model_store.network.fusion import AdapterFusion
from model_store.network.interaction import PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork

LayerRange = tuple[int, int]
"""First layer, and the one after the last."""


def layer_ranges(network: PairNetwork) -> list[LayerRange]:
    """The runs of layers that a network's interaction computes at once."""
    joint = network.pair_encoding.joint_layers
    if network.pair_encoding.kind == "late" and 0 < joint < network.depth:
        return [(0, network.depth - joint), (network.depth - joint, network.depth)]
    return [(0, network.depth)]


@dataclass(frozen=True, slots=True)
class FoldedLayer:
    """T adapters of width m and their fusion, folded. `adapters` is 1 and `inner` is D alone without a fusion."""

    adapters: int
    inner_weight: Tensor  # (2 T m + T, hidden): D, G, C; with one adapter alone (m, hidden)
    inner_bias: Tensor
    outer_weight: Tensor  # (hidden, T m + T): V U_t, V b_t; with one adapter alone (hidden, m)
    outer_bias: Tensor | None  # (hidden), the adapter's own, with one adapter alone


def fold_layer(network: RelevanceNetwork, number: int, route: Route) -> FoldedLayer | None:
    """The folded adapters and fusion of encoder layer `number`; None where no adapter is active.

    Computed in float64, so that folding adds no error of its own beyond the rounding of its result to float32.
    """
    if not route.adapters:
        return None
    stacked = StackedAdapters.of([network.adapter_modules(name)[number] for name in route.adapters])
    if route.fusion is None:
        return FoldedLayer(
            1,
            stacked.down_weight.detach().clone(),
            stacked.down_bias.detach().clone(),
            stacked.up_weight.detach().clone(),
            stacked.up_bias[0].detach().clone(),
        )
    return _fold(stacked, network.fusion_modules(route.fusion)[number])


@torch.no_grad()
def _fold(stacked: StackedAdapters, fusion: AdapterFusion) -> FoldedLayer:
    up, up_bias = stacked.up_weight.double(), stacked.up_bias.double()
    key, query, value = (linear.weight.double() for linear in (fusion.key, fusion.query, fusion.value))
    keyed_query = key.T @ query
    keyed_bias = key.T @ fusion.query.bias.double()
    inner = (stacked.down_weight.double(), up.T @ keyed_query, up_bias @ keyed_query)
    inner_bias = (stacked.down_bias.double(), up.T @ keyed_bias, up_bias @ keyed_bias)
    outer = torch.cat([value @ up, value @ up_bias.T], dim=1)
    return FoldedLayer(
        len(up_bias), torch.cat(inner).float(), torch.cat(inner_bias).float(), outer.float().contiguous(), None
    )
