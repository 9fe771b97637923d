from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_store.network.interaction import Route
from service.engine.backends.choice import TORCH_FLOAT32
from service.engine.batching import token_budget
from service.engine.batching.token_budget import CPU_BUDGETS, calibrated_token_budget
from service.engine.folded.network import FoldedNetwork
from tests.support.networks import random_network

ROUTE = Route(("m0", "m1"), "step")


@pytest.fixture
def network(tiny_encoder_folder: Path) -> FoldedNetwork:
    return FoldedNetwork(random_network(tiny_encoder_folder, ROUTE.adapters, interaction="late(1)"), ROUTE)


def test_it_is_measured_once_and_remembered(
    network: FoldedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELEVANCE_CACHE", str(tmp_path))
    found = calibrated_token_budget(network, ROUTE, TORCH_FLOAT32)
    assert found in CPU_BUDGETS
    known = json.loads((tmp_path / "token-budgets.json").read_text())
    assert list(known.values()) == [found]
    assert "torch-float32, 2 layers of 32, 2 adapters" in next(iter(known))

    def fail(*_: object) -> int:
        raise AssertionError("measured again")

    monkeypatch.setattr(token_budget, "_measured", fail)
    assert calibrated_token_budget(network, ROUTE, TORCH_FLOAT32) == found
    with pytest.raises(AssertionError, match="measured again"):
        calibrated_token_budget(network, Route(("m0",)), TORCH_FLOAT32)


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_broken_memory_is_measured_anew(
    network: FoldedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("RELEVANCE_CACHE", str(tmp_path))
    monkeypatch.setattr(token_budget, "_measured", lambda *_: 512)
    (tmp_path / "token-budgets.json").write_text(content)
    assert calibrated_token_budget(network, ROUTE, TORCH_FLOAT32) == 512
    assert list(json.loads((tmp_path / "token-budgets.json").read_text()).values()) == [512]


def test_where_nothing_can_be_written_it_is_measured_every_time(
    network: FoldedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RELEVANCE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(token_budget, "_measured", lambda *_: 256)
    assert calibrated_token_budget(network, ROUTE, TORCH_FLOAT32) == 256
    assert "cannot be written" in caplog.text
