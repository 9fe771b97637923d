"""Heads on disk: one safetensors file with a weight and a bias for every head."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model_store.errors import VersionCorruptError
from model_store.network.head import RelevanceHeads

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
