"""What lies in a version's folder, and how a network is written there and read back."""

from __future__ import annotations

from pathlib import Path

from model_store.adapter_files import load_adapter, load_fusion, save_adapter, save_fusion
from model_store.head_files import HEAD_WEIGHTS, load_heads, save_heads
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.versions.manifest import Manifest

ADAPTERS = "adapters"
FUSION = "fusion"


def write_network(network: RelevanceNetwork, route: Route, folder: Path) -> None:
    """Write the adapters and the fusion of a route, and all heads; the base encoder is not copied."""
    for name in route.adapters:
        save_adapter(network, name, folder / ADAPTERS / name)
    if route.fusion:
        save_fusion(network, route.fusion, route.adapters, folder / FUSION)
    save_heads(network.heads, folder / HEAD_WEIGHTS)


def read_network(network: RelevanceNetwork, manifest: Manifest, folder: Path) -> Route:
    """Read a version's adapters, fusion and heads into a network of its configuration."""
    for name in manifest.names:
        load_adapter(network, name, folder / ADAPTERS / name)
    if manifest.fusion_name:
        load_fusion(network, manifest.fusion_name, folder / FUSION)
    load_heads(network.heads, folder / HEAD_WEIGHTS)
    return Route(tuple(manifest.names), manifest.fusion_name)
