"""Where the network computes."""

from __future__ import annotations

import torch

from model_store.errors import ConfigurationError


def checked_device(name: str) -> torch.device:
    """The device of a setting; `auto` is a GPU where there is one.

    Raises:
        ConfigurationError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"setting DEVICE: there is no {name} (GPUs found: {torch.cuda.device_count()}); use auto or cpu"
        )
    return device
