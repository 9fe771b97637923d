from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from model_store.product import Product, QueryProductPair
from service.engine.backends.onnx_network import OnnxNetwork
from service.engine.backends.torch_threads import ALL_THREADS, torch_threads
from service.engine.options import EngineOptions
from service.engine.versions.loading import load_scorer
from service.engine.versions.threads import in_own_thread

PAIRS = [QueryProductPair("us", "usb cable", Product("1", "USB cable 2 m"))]


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    torch.set_num_threads(ALL_THREADS)


def test_it_is_as_before_afterwards_also_after_an_error() -> None:
    torch.set_num_threads(2)
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    with pytest.raises(ValueError, match="failed"), torch_threads(3):
        raise ValueError("failed")
    assert torch.get_num_threads() == 2


def test_beside_onnx_runtime_torch_has_one_thread(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = load_scorer(tiny_store, options=EngineOptions("cpu", "onnxruntime", "float32", 512))
    seen: list[int] = []
    original = OnnxNetwork.embed

    def noted(self: OnnxNetwork, *args: Any) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return original(self, *args)

    def scored() -> int:
        torch.set_num_threads(2)
        scorer.score(PAIRS)
        return torch.get_num_threads()

    monkeypatch.setattr(OnnxNetwork, "embed", noted)
    assert in_own_thread(scored) == 2
    assert set(seen) == {1}
