"""What the settings say of the engine; without torch, so that commands which read the cache start at once."""

from __future__ import annotations

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
