from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.encoding.batch import JointBatch
from model_store.errors import ConfigurationError
from model_store.network.configuration import HeadConfiguration
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.network.scoring import score_tokenized
from model_store.product import Product, QueryProductPair
from tests.support.networks import random_network, tokenizer_of

PAIRS = [
    QueryProductPair("us", query, Product("p", title))
    for query in ("red shoe", "hat", "a long query of words")
    for title in ("big red shoe 42", "lamp", "hat for a man with a long title that goes on")
]


def logits(network: RelevanceNetwork, folder: Path, route: Route, budget: int = 2048) -> np.ndarray:
    tokenizer = tokenizer_of(folder, network.pair_encoding)
    return score_tokenized(
        network, tokenizer, tokenizer.tokenize(PAIRS), route, np.zeros(len(PAIRS), dtype=int), token_budget=budget
    )


@pytest.mark.parametrize("interaction", ["cross", "two_tower", "late(1)", "late(2)"])
def test_padding_does_not_change_a_score(tiny_encoder_folder: Path, interaction: str) -> None:
    network = random_network(tiny_encoder_folder, ("us", "es"), interaction=interaction)
    route = Route(("us", "es"), "step")
    wide, narrow = (logits(network, tiny_encoder_folder, route, budget) for budget in (4096, 1))
    np.testing.assert_allclose(wide, narrow, atol=1e-4)


def test_a_new_similarity_head_scores_by_the_cosine(tiny_encoder_folder: Path) -> None:
    network = random_network(tiny_encoder_folder, ())
    network.heads.add("fresh")
    tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
    batch = tokenizer.batch(tokenizer.tokenize(PAIRS), range(9), [1] * 9)
    features = network.pair_features(batch, Route())
    assert network.heads.names.index("fresh") == 1
    torch.testing.assert_close(network(batch, Route()), 10.0 * features[:, -1])
    assert features[:, -1].abs().max() <= 1.0 + 1e-6


def test_query_and_product_see_each_other_only_in_the_joint_layers(tiny_encoder_folder: Path) -> None:
    """With two towers the features split into a query part that no product changes."""
    route = Route(("us",))
    tower = random_network(tiny_encoder_folder, ("us",), interaction="two_tower")
    joint = random_network(tiny_encoder_folder, ("us",), interaction="late(1)")
    for network, independent in ((tower, True), (joint, False)):
        tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
        batch = tokenizer.batch(tokenizer.tokenize(PAIRS), [0, 1], [0, 0])
        first, second = network.pair_features(batch, route)[:, :32]
        assert torch.allclose(first, second, atol=1e-6) == independent


def test_every_head_scores_its_own_pairs(tiny_encoder_folder: Path) -> None:
    network = random_network(tiny_encoder_folder, ())
    network.heads.add("es")
    tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
    tokenized = tokenizer.tokenize(PAIRS)
    mixed = network(tokenizer.batch(tokenized, range(4), [0, 1, 0, 1]), Route())
    first = network(tokenizer.batch(tokenized, range(4), [0] * 4), Route())
    second = network(tokenizer.batch(tokenized, range(4), [1] * 4), Route())
    torch.testing.assert_close(mixed, torch.stack([first[0], second[1], first[2], second[3]]))


@pytest.mark.parametrize("pooling", ["mean", "first_token"])
def test_the_paper_s_head_is_linear_in_the_pooled_tokens(tiny_encoder_folder: Path, pooling: str) -> None:
    head = HeadConfiguration.model_validate({"kind": "linear", "pooling": pooling})
    network = random_network(tiny_encoder_folder, ("us",), interaction="cross", head=head)
    tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
    batch = tokenizer.batch(tokenizer.tokenize(PAIRS[:1]), [0], [0])
    assert isinstance(batch, JointBatch)
    hidden = network.encode_texts(batch.texts, Route(("us",)))
    pooled = hidden[:, 0] if pooling == "first_token" else hidden.mean(1)
    torch.testing.assert_close(network.pair_features(batch, Route(("us",))), pooled)


def test_contradictions_are_refused(tiny_encoder_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="needs a sequence that holds both texts"):
        random_network(tiny_encoder_folder, (), head=HeadConfiguration(kind="linear"))
    with pytest.raises(ConfigurationError, match=r"more joint layers than the\s+encoder's 2"):
        random_network(tiny_encoder_folder, (), interaction="late(3)")


def test_heads_stay_exact_in_mixed_precision(tiny_encoder_folder: Path) -> None:
    network = random_network(tiny_encoder_folder, ("us",))
    network.heads.set_cosine("shared", 300.0, -250.0)
    features, index = torch.rand(50, network.heads.feature_size), torch.zeros(50, dtype=torch.int64)
    exact = network.heads(features, index)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(network.heads(features, index), exact, rtol=0, atol=0)
