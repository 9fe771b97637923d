from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.network.interaction import AttentionMaps, PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.network.scoring import score_tokenized
from model_store.product import Product, QueryProductPair
from service.engine.backends.int8_network import Int8Network, ranges_as_file, ranges_of_file, watched_inputs
from service.engine.backends.product_probes import torch_int8
from service.engine.folded.network import FoldedNetwork
from tests.support.networks import random_network, tokenizer_of

pytestmark = pytest.mark.skipif(torch_int8().problem is not None, reason=str(torch_int8().problem))
BITS = torch_int8().weight_bits

TITLES = ("usb cable", "red sofa for two with a very long name that goes on", "tea", "4k tv 85-inch hdmi")
PAIRS = [
    QueryProductPair("us", query, Product(str(number), title))
    for number, title in enumerate(TITLES)
    for query in ("cable", "a red sofa", "hdmi")
]
INTERACTIONS = ["two_tower", "cross", "late(1)"]


def logits(network: PairNetwork, folder: Path, route: Route) -> np.ndarray:
    tokenizer = tokenizer_of(folder, network.pair_encoding)
    heads = [0] * len(PAIRS)
    return score_tokenized(network, tokenizer, tokenizer.tokenize(PAIRS), route, heads, token_budget=64)


def in_both_forms(
    network: RelevanceNetwork, folder: Path, route: Route, bits: int = BITS
) -> tuple[np.ndarray, Int8Network]:
    """Logits in float32, and the network in int8 with the ranges found meanwhile."""
    folded = FoldedNetwork(network, route)
    with watched_inputs(folded) as ranges:
        expected = logits(folded, folder, route)
    return expected, Int8Network(network, route, ranges_of_file(ranges_as_file(ranges)), weight_bits=bits)


def route_of(adapters: int) -> Route:
    return Route(tuple(f"m{number}" for number in range(adapters)), "step" if adapters > 1 else None)


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("adapters", [1, 3])
@pytest.mark.parametrize("bits", range(7, BITS + 1))
def test_logits_stay_near(tiny_encoder_folder: Path, bits: int, adapters: int, interaction: str) -> None:
    route = route_of(adapters)
    network = random_network(tiny_encoder_folder, route.adapters, interaction=interaction)
    expected, served = in_both_forms(network, tiny_encoder_folder, route, bits)
    found = logits(served, tiny_encoder_folder, route)
    assert 0 < np.abs(found - expected).max() < 0.2 * expected.std()


def test_a_hidden_unit_far_larger_than_the_others_does_no_harm(tiny_encoder_folder: Path) -> None:
    # As in pretrained encoders; one scale for it and all others leaves these nothing.
    route = route_of(2)
    network = random_network(tiny_encoder_folder, route.adapters, interaction="cross")
    with torch.no_grad():
        for layer in network.encoder.encoder.encoder.layer:
            layer.intermediate.dense.bias[5] += 1000
            layer.output.dense.weight[:, 5] /= 1000
            layer.output.dense.weight *= 10
    expected, served = in_both_forms(network, tiny_encoder_folder, route)
    found = logits(served, tiny_encoder_folder, route)
    assert np.abs(found - expected).max() < 0.2 * expected.std()


@pytest.mark.parametrize("adapters", [1, 3])
def test_the_attention_over_the_adapters_can_be_asked_for(tiny_encoder_folder: Path, adapters: int) -> None:
    route = route_of(adapters)
    network = random_network(tiny_encoder_folder, route.adapters, interaction="cross")
    _, served = in_both_forms(network, tiny_encoder_folder, route)
    tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
    batch = tokenizer.batch(tokenizer.tokenize(PAIRS), range(len(PAIRS)), [0] * len(PAIRS))
    expected, found = AttentionMaps(), AttentionMaps()
    with torch.inference_mode():
        FoldedNetwork(network, route)(batch, route, expected)
        served(batch, route, found)
    for one, other, mask in zip(expected.log_attention, found.log_attention, found.masks, strict=True):
        torch.testing.assert_close(other[mask].exp(), one[mask].exp(), atol=0.1, rtol=0)


def test_watching_ends(tiny_encoder_folder: Path) -> None:
    route = route_of(2)
    folded = FoldedNetwork(random_network(tiny_encoder_folder, route.adapters), route)
    with watched_inputs(folded) as ranges:
        logits(folded, tiny_encoder_folder, route)
    before = {name: found.high.clone() for name, found in ranges.items()}
    assert set(before) == {
        f"{layer}.{name}"
        for layer in range(folded.depth)
        for name in ("projection", "attended", "feed_forward.wide", "feed_forward.narrow", "inner", "outer")
    }
    folded.run_layers(torch.full((1, 2, folded.hidden_size), 1e3), torch.ones(1, 2).bool(), False, route, None)
    assert all(torch.equal(ranges[name].high, high) for name, high in before.items())
