"""On a machine with a GPU: `python -m pytest -m gpu`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model_store.network.interaction import Route
from model_store.network.scoring import score_tokenized
from model_store.product import Product, QueryProductPair
from service.engine.backends.cuda_graphs import MAX_GRAPHS, GraphedNetwork, bucket_of, filled
from service.engine.folded.network import FoldedNetwork
from tests.support.networks import random_network, tokenizer_of

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    # torch.compile's own, about the code that it makes
    pytest.mark.filterwarnings(r"ignore:\s*Online softmax is disabled:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),
]
ROUTE = Route(("m0", "m1", "m2"), "step")
PAIRS = [
    QueryProductPair("us", "red cable " * (1 + number % 3), Product(str(number), "usb cable " * (1 + number % 7)))
    for number in range(40)
]


@pytest.mark.parametrize("interaction", ["two_tower", "cross", "late(1)"])
@pytest.mark.parametrize("budget", [64, 1024])
def test_replays_compute_what_the_layers_do(tiny_encoder_folder: Path, interaction: str, budget: int) -> None:
    network = random_network(tiny_encoder_folder, ROUTE.adapters, interaction=interaction).to("cuda")
    tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
    tokenized = tokenizer.tokenize(PAIRS)
    heads = [0] * len(PAIRS)
    exact = FoldedNetwork(network, ROUTE, torch.float32)
    plain = FoldedNetwork(network, ROUTE, torch.bfloat16)
    graphed = GraphedNetwork(network, ROUTE)
    expected, rounded = (
        score_tokenized(one, tokenizer, tokenized, ROUTE, heads, token_budget=budget) for one in (exact, plain)
    )
    # Both round to bf16, in different places where layers are compiled: no pair need round alike; all together
    # come out alike but for a small factor: 2.4 for two towers on an H100, a unit of bf16 in such scores.
    rounding = np.abs(rounded - expected)
    for _ in range(2):
        found = score_tokenized(graphed, tokenizer, tokenized, ROUTE, heads, token_budget=budget)
        assert np.abs(found - expected).mean() < 4 * rounding.mean()
        np.testing.assert_allclose(found, expected, atol=4 * rounding.max())


def test_the_number_of_graphs_is_bounded(tiny_encoder_folder: Path) -> None:
    network = random_network(tiny_encoder_folder, ROUTE.adapters, interaction="cross").to("cuda")
    graphed = GraphedNetwork(network, ROUTE)
    with torch.inference_mode():
        for tokens in range(16, 145, 16):
            for texts in (1, 2, 4, 8, 16, 32, 64, 128):
                hidden = torch.zeros(texts, tokens, graphed.hidden_size, device="cuda")
                mask = torch.ones(texts, tokens, dtype=torch.bool, device="cuda")
                graphed.run_layers(hidden, mask, False, ROUTE, None)
    assert len(graphed._graphs) == MAX_GRAPHS


@given(st.integers(1, 5000), st.integers(1, 512))
def test_a_bucket_holds_the_batch_and_wastes_little(texts: int, tokens: int) -> None:
    rows, width = bucket_of(texts, tokens)
    assert texts <= rows < 2 * texts
    assert tokens <= width < tokens + (16 if tokens <= 128 else 64)


def test_there_are_few_shapes() -> None:
    shapes = {bucket_of(texts, tokens) for tokens in range(1, 129) for texts in range(1, 16384 // tokens + 1)}
    assert len(shapes) <= 8 * 15


def test_a_batch_lies_in_the_corner_and_the_rest_is_padding() -> None:
    hidden, mask = torch.randn(3, 5, 4), torch.ones(3, 5, dtype=torch.bool)
    mask[1, 3:] = False
    into_hidden, into_mask = torch.full((4, 16, 4), 7.0), torch.ones(4, 16, dtype=torch.bool)
    filled(hidden, mask, into_hidden, into_mask)
    assert torch.equal(into_hidden[:3, :5], hidden)
    assert not into_hidden[3:].any()
    assert not into_hidden[:, 5:].any()
    assert torch.equal(into_mask[:3, :5], mask)
    assert into_mask.sum() == mask.sum() + 1
    assert into_mask.any(dim=1).all()
