from __future__ import annotations

import pytest
import torch

from model_store.errors import ConfigurationError
from service.engine.devices import checked_device


def test_a_device_that_is_not_there_is_said() -> None:
    with pytest.raises(ConfigurationError, match=r"DEVICE: there is no cuda:99 .*use auto or cpu"):
        checked_device("cuda:99")


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert checked_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert checked_device("cpu").type == "cpu"
