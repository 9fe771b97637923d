"""Which layers run one after another without anything in between."""

from __future__ import annotations

from model_store.network.interaction import PairNetwork

LayerRange = tuple[int, int]
"""First layer, and the one after the last."""


def layer_ranges(network: PairNetwork) -> list[LayerRange]:
    """The runs of layers that a network's interaction computes at once."""
    joint = network.pair_encoding.joint_layers
    if network.pair_encoding.kind == "late" and 0 < joint < network.depth:
        return [(0, network.depth - joint), (network.depth - joint, network.depth)]
    return [(0, network.depth)]
