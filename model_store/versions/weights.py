"""A version's folder: adapters and fusion layers, heads, and how a network is written there and read back.

Adapters and fusion layers have the file format of the `adapters` library (1.3): a folder written here loads with
its `load_adapter` or `load_adapter_fusion`, and a folder that it wrote loads here. Heads are one file with a
weight and a bias each. Only safetensors files are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
_HEAD_PARTS = ("weights", "biases")


def save_heads(heads: RelevanceHeads, path: Path) -> None:
    """Write all heads: `weights.NAME` (features) and `biases.NAME` (1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.detach().cpu().contiguous() for key, value in heads.state_dict().items()}, path)


def load_heads(heads: RelevanceHeads, path: Path) -> None:
    """Read all heads of a file into the network, adding those that are missing.

    Raises:
        VersionCorruptError: the file is damaged, a head lacks its weights or its bias, or has another size.
    """
    tensors = _read_tensors(path)
    for key, tensor in sorted(tensors.items()):
        kind, _, name = key.partition(".")
        if kind not in _HEAD_PARTS or not name or tensor.shape != _shape(heads, kind):
            raise VersionCorruptError(f"{path}: {key} of shape {tuple(tensor.shape)} is no head of this network")
        for other in _HEAD_PARTS:
            if f"{other}.{name}" not in tensors:
                raise VersionCorruptError(f"{path}: holds no tensor {other}.{name}")
    for key, tensor in sorted(tensors.items()):
        kind, _, name = key.partition(".")
        if name not in heads.weights:
            heads.add(name)
        with torch.no_grad():
            (heads.weights if kind == "weights" else heads.biases)[name].copy_(tensor)


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
_ANY_VALUE = frozenset({
    "dropout", "init_weights", "init_weights_seed", "inv_adapter_reduction_factor", "reduction_factor",
    "stochastic_depth", "factorized_phm_W", "factorized_phm_rule", "hypercomplex_nonlinearity", "learn_phm",
    "phm_bias", "phm_c_init", "phm_dim", "phm_init_range", "phm_rank", "shared_W_phm", "shared_phm_rule",
})  # fmt: skip
"""Fields that say how an adapter starts, how it is trained, or what only another kind reads."""
_ANY_VALUE_OF_A_FUSION = frozenset({"dropout_prob", "regularization", "value_initialized"})

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
        VersionCorruptError: a file is missing or damaged, holds another kind of adapter, tensors that no Pfeiffer
            adapter of this encoder has, or not all of those that it has.
    """
    path = folder / ADAPTER_WEIGHTS
    configuration = _read_configuration(folder / ADAPTER_CONFIGURATION)
    _check_kind(
        folder / ADAPTER_CONFIGURATION, configuration, _PFEIFFER, _ANY_VALUE, "Pfeiffer adapters (seq_bn)"
    )
    tensors = _read_tensors(path)
    if name not in network.adapters[0]:  # type: ignore[operator]
        network.add_adapter(name, bottleneck=_stored_bottleneck(tensors))
    _load(
        network.adapter_modules(name),
        tensors,
        f"encoder.layer.{{}}.output.adapters.{configuration['name']}.",
        path,
    )


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
        VersionCorruptError: a file is missing or damaged, or holds another kind of fusion, or not exactly the
            tensors that one of this encoder has.
    """
    path = folder / FUSION_WEIGHTS
    configuration = _read_configuration(folder / FUSION_CONFIGURATION)
    _check_kind(folder / FUSION_CONFIGURATION, configuration, _FUSION, _ANY_VALUE_OF_A_FUSION, "dynamic fusions")
    adapters = configuration.get("adapter_names")
    if not isinstance(adapters, list) or not all(isinstance(adapter, str) for adapter in adapters):
        raise VersionCorruptError(f"{folder / FUSION_CONFIGURATION}: adapter_names is no list of names")
    tensors = _read_tensors(path)
    if name not in network.fusions[0]:  # type: ignore[operator]
        network.add_fusion(name)
    prefix = f"encoder.layer.{{}}.output.adapter_fusion_layer.{configuration['name']}."
    _load(network.fusion_modules(name), tensors, prefix, path)
    return tuple(adapters)


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


def _read_configuration(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise VersionCorruptError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise VersionCorruptError(f"{path}: has no object 'config'")
    if not isinstance(content.get("name"), str):
        raise VersionCorruptError(f"{path}: has no text 'name'")
    return content


def _check_kind(
    path: Path,
    configuration: Mapping[str, object],
    known: Mapping[str, object],
    any_value: frozenset[str],
    kind: str,
) -> None:
    """Refuse what is another function of the hidden states: it would be loaded in part, or as what it is not."""
    found = configuration["config"]
    assert isinstance(found, dict)
    for key in sorted(known.keys() | found.keys(), key=lambda key: (key != "architecture", key)):
        value, expected = found.get(key), known.get(key)
        # A field that one version of the library has and another has not is not used where it is unset.
        if key in any_value or value == expected or not (value or expected):
            continue
        raise VersionCorruptError(
            f"{path}: {key} is {value!r}; only {kind} can be loaded, with {key}={expected!r}"
        )


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise VersionCorruptError(f"{path}: cannot be read ({error})") from error


def _load(layers: Sequence[torch.nn.Module], tensors: Mapping[str, Tensor], pattern: str, path: Path) -> None:
    """Copy a file's tensors into the modules of all layers: every one that they have, and all that are there."""
    targets = {
        pattern.format(number) + key: target
        for number, module in enumerate(layers)
        for key, target in module.state_dict().items()
    }
    for key, target in targets.items():
        source = tensors.get(key)
        if source is None:
            raise VersionCorruptError(f"{path}: holds no tensor {key}")
        if source.shape != target.shape or not source.is_floating_point():
            raise VersionCorruptError(
                f"{path}: {key} is of shape {tuple(source.shape)} and {source.dtype}, expected "
                f"{tuple(target.shape)} and {target.dtype}"
            )
    unknown = sorted(tensors.keys() - targets.keys())
    if unknown:
        raise VersionCorruptError(
            f"{path}: {unknown[0]} has no place in this network, and nothing is loaded in part "
            f"({len(unknown)} such tensors)"
        )
    for key, target in targets.items():
        target.copy_(tensors[key])


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
    """Read a version's adapters, fusion and heads into a network of its configuration.

    Raises:
        VersionCorruptError: a part of them is missing, damaged or not what the manifest says.
    """
    for name in manifest.names:
        load_adapter(network, name, folder / ADAPTERS / name)
    if manifest.fusion_name:
        fused = load_fusion(network, manifest.fusion_name, folder / FUSION)
        if sorted(fused) != sorted(manifest.names):
            raise VersionCorruptError(
                f"{folder / FUSION}: is a fusion of {', '.join(fused)}; the version has "
                f"{', '.join(manifest.names)}"
            )
    load_heads(network.heads, folder / HEAD_WEIGHTS)
    for entry in manifest.marketplaces:
        if entry.head not in network.heads.names:
            raise VersionCorruptError(f"{folder / HEAD_WEIGHTS}: holds no head {entry.head!r} of {entry.name}")
    return Route(tuple(manifest.names), manifest.fusion_name)
