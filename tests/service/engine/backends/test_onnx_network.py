from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.network.interaction import AttentionMaps, PairNetwork, Route
from model_store.network.scoring import score_tokenized
from model_store.product import Product, QueryProductPair
from service.engine.backends.choice import EngineChoice
from service.engine.backends.forms import ServedForms
from service.engine.backends.int8_network import watched_inputs
from service.engine.backends.onnx_graph import LayerRanges, OnnxPrecision, layers_as_onnx
from service.engine.backends.onnx_network import OnnxNetwork
from service.engine.backends.product_probes import WeightBits, onnx_int8
from service.engine.folded.fold import layer_ranges
from service.engine.folded.network import FoldedNetwork
from tests.support.networks import random_network, tokenizer_of

TITLES = ("usb cable", "red sofa for two with a very long name that goes on", "tea", "4k tv 85-inch hdmi")
PAIRS = [
    QueryProductPair("us", query, Product(str(number), title))
    for number, title in enumerate(TITLES)
    for query in ("cable", "a red sofa", "hdmi")
]
INTERACTIONS = ["two_tower", "cross", "late(1)"]


def networks(
    folder: Path, adapters: int, interaction: str, precision: OnnxPrecision = "float32", bits: int = 8
) -> tuple[FoldedNetwork, OnnxNetwork]:
    route = Route(tuple(f"m{number}" for number in range(adapters)), "step" if adapters > 1 else None)
    folded = FoldedNetwork(random_network(folder, route.adapters, interaction=interaction), route)
    ranges = ranges_of(folded, folder) if precision == "int8" else None
    graphs = {
        (first, last): layers_as_onnx(
            folded.encoder_layers[first:last],
            folded.hidden_size,
            precision,
            bits,
            ranges[first:last] if ranges else None,
        ).SerializeToString()
        for first, last in layer_ranges(folded)
    }
    return folded, OnnxNetwork(folded, graphs, threads=1)


def ranges_of(folded: FoldedNetwork, folder: Path) -> list[LayerRanges]:
    with watched_inputs(folded) as found:
        logits(folded, folder, folded.route)
    return [
        {name.partition(".")[2]: one for name, one in found.items() if name.startswith(f"{number}.")}
        for number in range(folded.depth)
    ]


def logits(
    network: PairNetwork,
    folder: Path,
    route: Route,
    pairs: list[QueryProductPair] = PAIRS,
    token_budget: int = 64,
) -> np.ndarray:
    tokenizer = tokenizer_of(folder, network.pair_encoding)
    tokenized = tokenizer.tokenize(pairs)
    return score_tokenized(network, tokenizer, tokenized, route, [0] * len(pairs), token_budget=token_budget)


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("adapters", [1, 2, 5])
def test_the_graph_computes_what_torch_does(tiny_encoder_folder: Path, adapters: int, interaction: str) -> None:
    folded, served = networks(tiny_encoder_folder, adapters, interaction)
    expected = logits(folded, tiny_encoder_folder, folded.route)
    assert expected.std() > 0.05
    np.testing.assert_allclose(logits(served, tiny_encoder_folder, served.route), expected, atol=1e-4)


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("bits", range(7, onnx_int8().weight_bits + 1))
def test_int8_stays_near(tiny_encoder_folder: Path, bits: int, interaction: str) -> None:
    folded, served = networks(tiny_encoder_folder, 3, interaction, "int8", bits)
    expected = logits(folded, tiny_encoder_folder, folded.route)
    found = logits(served, tiny_encoder_folder, served.route)
    assert 0 < np.abs(found - expected).max() < 0.2 * expected.std()


@pytest.mark.parametrize("interaction", INTERACTIONS)
def test_in_int8_a_score_does_not_depend_on_the_other_texts_of_its_batch(
    tiny_encoder_folder: Path, interaction: str
) -> None:
    _, served = networks(tiny_encoder_folder, 3, interaction, "int8", onnx_int8().weight_bits)
    together = logits(served, tiny_encoder_folder, served.route, token_budget=4096)
    alone = [logits(served, tiny_encoder_folder, served.route, [pair])[0] for pair in PAIRS]
    np.testing.assert_allclose(alone, together, atol=1e-3 * together.std())


@pytest.mark.parametrize("bits", range(7, onnx_int8().weight_bits + 1))
def test_a_hidden_unit_far_larger_than_the_others_does_no_harm(
    tiny_encoder_folder: Path, bits: WeightBits
) -> None:
    # As in pretrained encoders; one scale for it and all others leaves these nothing.
    route = Route(("m0", "m1"), "step")
    network = random_network(tiny_encoder_folder, route.adapters, interaction="cross")
    with torch.no_grad():
        for layer in network.encoder.encoder.encoder.layer:
            layer.intermediate.dense.bias[5] += 1000
            layer.output.dense.weight[:, 5] /= 1000
            layer.output.dense.weight *= 10
    forms = ServedForms(network, route)
    expected = logits(forms.folded, tiny_encoder_folder, route)
    choice = EngineChoice("onnxruntime", "int8", bits)
    files = forms.files(choice, lambda folded: logits(folded, tiny_encoder_folder, route))
    found = logits(forms.network(choice, files), tiny_encoder_folder, route)
    assert np.abs(found - expected).max() < 0.2 * expected.std()


@pytest.mark.parametrize("adapters", [1, 3])
@pytest.mark.parametrize("interaction", INTERACTIONS)
def test_the_attention_over_the_adapters_can_be_asked_for(
    tiny_encoder_folder: Path, adapters: int, interaction: str
) -> None:
    folded, served = networks(tiny_encoder_folder, adapters, interaction)
    tokenizer = tokenizer_of(tiny_encoder_folder, folded.pair_encoding)
    batch = tokenizer.batch(tokenizer.tokenize(PAIRS), range(len(PAIRS)), [0] * len(PAIRS))
    expected, found = AttentionMaps(), AttentionMaps()
    with torch.inference_mode():
        folded(batch, folded.route, expected)
        served(batch, served.route, found)
    assert len(found.log_attention) == len(expected.log_attention)
    for one, other, mask in zip(expected.log_attention, found.log_attention, found.masks, strict=True):
        torch.testing.assert_close(other[mask], one[mask], atol=1e-4, rtol=1e-4)


def test_a_graph_holds_the_weights_and_int8_makes_it_smaller(tiny_encoder_folder: Path) -> None:
    folded, _ = networks(tiny_encoder_folder, 3, "cross")
    sizes = {
        precision: layers_as_onnx(
            folded.encoder_layers, folded.hidden_size, precision, ranges=ranges_of(folded, tiny_encoder_folder)
        ).ByteSize()
        for precision in ("float32", "int8")
    }
    weights = sum(parameter.numel() for parameter in folded.layers.parameters())
    assert sizes["float32"] == pytest.approx(4 * weights, rel=0.2)
    assert sizes["int8"] < 0.5 * sizes["float32"]


def test_only_what_was_folded_can_be_asked_for(tiny_encoder_folder: Path) -> None:
    _, served = networks(tiny_encoder_folder, 2, "cross")
    hidden = torch.zeros(1, 3, served.hidden_size)
    mask = torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="no graph for layers 0 to 1"):
        served.run_layers(hidden, mask, False, served.route, None, last=1)
    with pytest.raises(ValueError, match="other"):
        served.run_layers(hidden, mask, False, Route(("other",)), None)
