"""What the settings say of the engine; without torch, so that commands which read the cache start at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

BackendSetting = Literal["auto", "torch", "onnxruntime"]
PrecisionSetting = Literal["auto", "float32", "bf16", "int8"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the settings say of the engine; `token_budget` None is calibrated on this machine."""

    device: str = "auto"
    backend: BackendSetting = "auto"
    precision: PrecisionSetting = "auto"
    token_budget: int | None = None
    encoded_text_bytes: int = 256 * 1024 * 1024


_SHAPES = "64"
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def bound_onednn_caches() -> None:
    """To be called before torch computes anything, as it reads this once; what is set already stays."""
    for name in _CACHES:
        os.environ[name] = os.environ.get(name) or _SHAPES
