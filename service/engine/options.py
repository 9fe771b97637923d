"""What is settled of the engine before torch is loaded: its options, and the bounds of oneDNN's caches.

Without torch, so that commands which read the cache start at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

BackendSetting = Literal["auto", "torch", "onnxruntime"]
PrecisionSetting = Literal["auto", "float32", "bf16", "int8"]

_SHAPES = "64"
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the settings say of the engine; `token_budget` None is calibrated on this machine."""

    device: str = "auto"
    backend: BackendSetting = "auto"
    precision: PrecisionSetting = "auto"
    token_budget: int | None = None
    encoded_text_bytes: int = 256 * 1024 * 1024


def bound_onednn_caches() -> None:
    """Keep code for few shapes of texts; to be called before torch computes, as it reads this once.

    By default torch's CPU library keeps 1024 shapes in each of two caches, which fill up with as much memory as
    several models take and are hardly ever hit. With 64 the service is as fast and its memory stays flat
    (measured: docs/log.md). What is set already stays.
    """
    for name in _CACHES:
        os.environ[name] = os.environ.get(name) or _SHAPES
