from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from model_store.network.interaction import Route
from service.engine.backends.choice import ONNX_FLOAT32, ONNX_INT8, TORCH_FLOAT32, TORCH_INT8, engine_choices
from service.engine.backends.forms import ServedForms
from service.engine.backends.rates import LAYERS, FormRate, measured_rates, random_hidden, worthwhile
from service.engine.folded.network import FoldedNetwork
from service.engine.options import EngineOptions
from tests.support.networks import random_network

ROUTE = Route(("m0", "m1"), "step")
ALL = [TORCH_INT8, ONNX_INT8, ONNX_FLOAT32, TORCH_FLOAT32]


def rates(**overall: float) -> dict[str, FormRate]:
    return {name.replace("_", "-"): FormRate(alone=rate, batched=rate) for name, rate in overall.items()}


def test_the_fastest_comes_first_and_what_rounds_must_be_much_faster() -> None:
    found = rates(torch_int8=150, onnxruntime_int8=149, onnxruntime_float32=100, torch_float32=80)
    assert worthwhile(ALL, found) == [TORCH_INT8, ONNX_FLOAT32, TORCH_FLOAT32]
    assert worthwhile(ALL, found | rates(torch_float32=120)) == [TORCH_FLOAT32, ONNX_FLOAT32]


def test_of_those_asked_for_by_name_the_fastest_is_taken() -> None:
    found = rates(torch_int8=80, onnxruntime_int8=90, torch_float32=100)
    assert worthwhile([TORCH_INT8, ONNX_INT8], found) == [ONNX_INT8, TORCH_INT8]


def test_a_pair_alone_counts_as_much_as_many() -> None:
    found = rates(onnxruntime_float32=10) | {"torch-float32": FormRate(alone=5, batched=30)}
    assert worthwhile([ONNX_FLOAT32, TORCH_FLOAT32], found)[0] == TORCH_FLOAT32


@pytest.mark.parametrize("interaction", ["cross", "late(2)"])
def test_every_form_that_works_here_is_measured_through_its_first_layers(
    tiny_encoder_folder: Path, interaction: str
) -> None:
    network = random_network(tiny_encoder_folder, ROUTE.adapters, interaction=interaction)

    def calibrate(folded: FoldedNetwork) -> None:
        hidden = random_hidden(folded.hidden_size)
        folded.run_layers(hidden, torch.ones(hidden.shape[:2]).bool(), False, ROUTE, None)

    networks = {}
    for choice in engine_choices(EngineOptions(), torch.device("cpu")):
        forms = ServedForms(network, ROUTE, layers=1)
        networks[choice] = forms.network(choice, forms.files(choice, calibrate))
        assert networks[choice].depth == 1 < LAYERS
    found = measured_rates(networks, ROUTE)
    assert set(found) == {choice.name for choice in networks}
    assert all(rate.alone > 0 and rate.batched > 0 for rate in found.values())


class Slow(FoldedNetwork):
    """As a library's product for which it has no fast code on this processor."""

    texts: list[int]

    def run_layers(self, hidden: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        self.texts.append(len(hidden))
        time.sleep(0.1 * len(hidden))
        return hidden


def test_no_batch_of_a_hopeless_form_is_waited_for(tiny_encoder_folder: Path) -> None:
    network = random_network(tiny_encoder_folder, ROUTE.adapters)
    slow = Slow(network, ROUTE)
    slow.texts = []
    found = measured_rates({TORCH_INT8: slow, TORCH_FLOAT32: FoldedNetwork(network, ROUTE).pack()}, ROUTE)
    assert set(slow.texts) == {1}
    assert found["torch-int8"].overall < 0.2 * found["torch-float32"].overall
