"""A version's folder: adapters and fusion layers, heads, and how a network is written there and read back.

Adapters and fusion layers have the file format of the `adapters` library (1.3): a folder written here loads with
its `load_adapter` or `load_adapter_fusion`, and a folder that it wrote loads here. Heads are one file with a
weight and a bias each. Only safetensors files are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_store.errors import VersionCorruptError
from model_store.network.head import RelevanceHeads
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.versions.manifest import Manifest

HEAD_WEIGHTS = "head.safetensors"


def save_heads(heads: RelevanceHeads, path: Path) -> None:
    """Write all heads: `weights.NAME` (features) and `biases.NAME` (1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.detach().cpu().contiguous() for key, value in heads.state_dict().items()}, path)


def load_heads(heads: RelevanceHeads, path: Path) -> None:
    """Read all heads of a file into the network, adding those that are missing.

    Raises:
        VersionCorruptError: the file is damaged or its heads have another size.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise VersionCorruptError(f"{path}: cannot be read ({error})") from error
    for key in sorted(tensors):
        kind, _, name = key.partition(".")
        if kind not in ("weights", "biases") or tensors[key].shape != _shape(heads, kind):
            raise VersionCorruptError(
                f"{path}: {key} of shape {tuple(tensors[key].shape)} is no head of this network"
            )
        if name not in heads.weights:
            heads.add(name)
        with torch.no_grad():
            (heads.weights if kind == "weights" else heads.biases)[name].copy_(tensors[key])


def _shape(heads: RelevanceHeads, kind: str) -> torch.Size:
    return torch.Size([heads.feature_size if kind == "weights" else 1])


_FORMAT_VERSION = "adapters.1.3.0"
_PFEIFFER = {
    "adapter_residual_before_ln": False,
    "cross_adapter": False,
    "dropout": 0.0,
    "factorized_phm_W": True,
    "factorized_phm_rule": False,
    "hypercomplex_nonlinearity": "glorot-uniform",
    "init_weights": "bert",
    "init_weights_seed": None,
    "inv_adapter": None,
    "inv_adapter_reduction_factor": None,
    "is_parallel": False,
    "learn_phm": True,
    "leave_out": [],
    "ln_after": False,
    "ln_before": False,
    "mh_adapter": False,
    "non_linearity": "relu",
    "original_ln_after": True,
    "original_ln_before": True,
    "output_adapter": True,
    "phm_bias": True,
    "phm_c_init": "normal",
    "phm_dim": 4,
    "phm_init_range": 0.0001,
    "phm_layer": False,
    "phm_rank": 1,
    "residual_before_ln": True,
    "scaling": 1.0,
    "shared_W_phm": False,
    "shared_phm_rule": True,
    "stochastic_depth": 0.0,
    "use_gating": False,
}
_FUSION = {
    "key": True,
    "query": True,
    "query_before_ln": False,
    "regularization": True,
    "residual_before": False,
    "temperature": False,
    "value": True,
    "value_before_softmax": True,
    "value_initialized": True,
}
# what another function of the library would change; the rest of its configuration only says how to start
_DEFINING = ("mh_adapter", "output_adapter", "ln_after", "ln_before", "non_linearity", "original_ln_before",
             "original_ln_after", "residual_before_ln", "adapter_residual_before_ln", "phm_layer", "use_gating",
             "is_parallel", "scaling")  # fmt: skip

ADAPTER_WEIGHTS = "adapter.safetensors"
ADAPTER_CONFIGURATION = "adapter_config.json"
FUSION_WEIGHTS = "model_adapter_fusion.safetensors"
FUSION_CONFIGURATION = "adapter_fusion_config.json"


def save_adapter(network: RelevanceNetwork, name: str, folder: Path) -> None:
    """Write one adapter of all layers."""
    folder.mkdir(parents=True, exist_ok=True)
    modules = network.adapter_modules(name)
    tensors = _named(f"encoder.layer.{{}}.output.adapters.{name}", [module.state_dict() for module in modules])
    save_file(tensors, folder / ADAPTER_WEIGHTS)
    configuration = {
        **_PFEIFFER,
        "reduction_factor": _reduction_factor(network.encoder.hidden_size, modules[0].bottleneck),
    }
    _write_configuration(folder / ADAPTER_CONFIGURATION, network, name, configuration, {})


def load_adapter(network: RelevanceNetwork, name: str, folder: Path) -> None:
    """Read an adapter into the network, adding it where it is missing.

    Raises:
        VersionCorruptError: a file is missing or damaged, or holds another kind of adapter.
    """
    configuration = _read_configuration(folder / ADAPTER_CONFIGURATION)
    for key in _DEFINING:
        if configuration["config"].get(key) != _PFEIFFER[key]:
            raise VersionCorruptError(
                f"{folder / ADAPTER_CONFIGURATION}: {key} is {configuration['config'].get(key)!r}; "
                f"only Pfeiffer adapters (seq_bn, {key}={_PFEIFFER[key]!r}) can be loaded"
            )
    tensors = _read_tensors(folder / ADAPTER_WEIGHTS)
    if name not in network.adapters[0]:  # type: ignore[operator]
        network.add_adapter(name, bottleneck=_stored_bottleneck(tensors))
    for number, module in enumerate(network.adapter_modules(name)):
        prefix = f"encoder.layer.{number}.output.adapters.{configuration['name']}."
        _load(module, tensors, prefix, folder / ADAPTER_WEIGHTS)


def save_fusion(network: RelevanceNetwork, name: str, adapter_names: tuple[str, ...], folder: Path) -> None:
    """Write one fusion layer of all encoder layers."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = _named(
        f"encoder.layer.{{}}.output.adapter_fusion_layer.{name}",
        [module.state_dict() for module in network.fusion_modules(name)],
    )
    save_file(tensors, folder / FUSION_WEIGHTS)
    configuration = {**_FUSION, "dropout_prob": network.fusion_configuration.dropout or None}
    _write_configuration(
        folder / FUSION_CONFIGURATION, network, name, configuration, {"adapter_names": list(adapter_names)}
    )


def load_fusion(network: RelevanceNetwork, name: str, folder: Path) -> tuple[str, ...]:
    """Read a fusion layer into the network under `name`, and return the adapters it was trained over.

    Raises:
        VersionCorruptError: a file is missing or damaged.
    """
    configuration = _read_configuration(folder / FUSION_CONFIGURATION)
    tensors = _read_tensors(folder / FUSION_WEIGHTS)
    if name not in network.fusions[0]:  # type: ignore[operator]
        network.add_fusion(name)
    for number, module in enumerate(network.fusion_modules(name)):
        prefix = f"encoder.layer.{number}.output.adapter_fusion_layer.{configuration['name']}."
        _load(module, tensors, prefix, folder / FUSION_WEIGHTS)
    return tuple(configuration["adapter_names"])


def _named(pattern: str, layers: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {
        f"{pattern.format(number)}.{key}": value.detach().cpu().contiguous()
        for number, state in enumerate(layers)
        for key, value in state.items()
    }


def _stored_bottleneck(tensors: dict[str, Tensor]) -> int | None:
    """Rows of a down-projection; None where there is none, which loading then reports by name."""
    return next((len(tensor) for key, tensor in tensors.items() if key.endswith("adapter_down.0.weight")), None)


def _reduction_factor(hidden_size: int, bottleneck: int) -> float:
    # the library's bottleneck is int(hidden // factor)
    exact = hidden_size / bottleneck
    return exact if int(hidden_size // exact) == bottleneck else hidden_size / (bottleneck + 0.5)


def _write_configuration(
    path: Path,
    network: RelevanceNetwork,
    name: str,
    configuration: Mapping[str, object],
    more: Mapping[str, object],
) -> None:
    encoder = network.encoder.encoder
    content = {
        **more,
        "config": dict(configuration),
        "hidden_size": network.encoder.hidden_size,
        "model_class": type(encoder).__name__,
        "model_name": "",
        "model_type": encoder.config.model_type,
        "name": name,
        "version": _FORMAT_VERSION,
    }
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _read_configuration(path: Path) -> dict[str, dict[str, object]]:
    try:
        content: dict[str, dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VersionCorruptError(f"{path}: cannot be read ({error})") from error
    return content


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise VersionCorruptError(f"{path}: cannot be read ({error})") from error


def _load(module: torch.nn.Module, tensors: dict[str, Tensor], prefix: str, path: Path) -> None:
    own = module.state_dict()
    for key, target in own.items():
        source = tensors.get(prefix + key)
        if source is None:
            raise VersionCorruptError(f"{path}: holds no tensor {prefix + key}")
        if source.shape != target.shape:
            raise VersionCorruptError(
                f"{path}: {prefix + key} has shape {tuple(source.shape)}, expected {tuple(target.shape)}"
            )
        target.copy_(source)


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
