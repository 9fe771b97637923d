from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from model_store.encoding.configuration import PairEncoding
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.network.interaction import AttentionMaps, Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.network.scoring import score_tokenized
from model_store.product import Product, QueryProductPair
from service.engine.folded.network import FoldedNetwork, rounded_rows, token_attention, with_rows
from tests.support.networks import random_network, tokenizer_of

TITLES = ("usb cable", "red sofa for two with a very long name that goes on", "tea", "4k tv 85-inch hdmi")
PAIRS = [
    QueryProductPair("us", query, Product(str(number), title))
    for number, title in enumerate(TITLES)
    for query in ("cable", "a red sofa", "hdmi")
]


def route_of(adapters: int) -> Route:
    names = tuple(f"m{number}" for number in range(adapters))
    return Route(names, "step" if adapters > 1 else None)


def logits(network: RelevanceNetwork | FoldedNetwork, folder: Path, route: Route) -> np.ndarray:
    tokenizer = tokenizer_of(folder, network.pair_encoding)
    heads = [0] * len(PAIRS)
    return score_tokenized(network, tokenizer, tokenizer.tokenize(PAIRS), route, heads, token_budget=64)


@pytest.mark.parametrize("interaction", ["two_tower", "cross", "late(1)"])
@pytest.mark.parametrize("adapters", [1, 2, 4, 16])
def test_folding_changes_no_logit(tiny_encoder_folder: Path, adapters: int, interaction: str) -> None:
    route = route_of(adapters)
    network = random_network(tiny_encoder_folder, route.adapters, interaction=interaction)
    expected = logits(network, tiny_encoder_folder, route)
    found = logits(FoldedNetwork(network, route), tiny_encoder_folder, route)
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-4)
    packed = logits(FoldedNetwork(network, route).pack(), tiny_encoder_folder, route)
    np.testing.assert_allclose(packed, expected, atol=1e-4)


def test_without_adapters_it_is_the_plain_encoder(tiny_encoder_folder: Path) -> None:
    network = random_network(tiny_encoder_folder, ("m0",))
    expected = logits(network, tiny_encoder_folder, Route())
    np.testing.assert_allclose(
        logits(FoldedNetwork(network, Route()), tiny_encoder_folder, Route()), expected, atol=1e-5
    )


@pytest.mark.parametrize("adapters", [1, 3])
def test_the_attention_over_the_adapters_can_still_be_asked_for(tiny_encoder_folder: Path, adapters: int) -> None:
    route = route_of(adapters)
    network = random_network(tiny_encoder_folder, route.adapters, interaction="cross")
    tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
    batch = tokenizer.batch(tokenizer.tokenize(PAIRS), range(len(PAIRS)), [0] * len(PAIRS))
    expected, found = AttentionMaps(), AttentionMaps()
    with torch.inference_mode():
        network(batch, route, expected)
        FoldedNetwork(network, route)(batch, route, found)
    assert len(found.log_attention) == network.depth
    for one, other, mask in zip(expected.log_attention, found.log_attention, found.masks, strict=True):
        torch.testing.assert_close(other[mask], one[mask], atol=1e-4, rtol=1e-4)


def encoder_of(family: str) -> PreTrainedModel:
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
            "vocab_size": 400, "max_position_embeddings": 80}  # fmt: skip
    torch.manual_seed(0)
    if family == "bert":
        return BertModel(BertConfig(**size), add_pooling_layer=False)
    if family == "roberta":
        return RobertaModel(RobertaConfig(**size, type_vocab_size=1), add_pooling_layer=False)
    return XLMRobertaModel(XLMRobertaConfig(**size, type_vocab_size=1), add_pooling_layer=False)


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_every_encoder_family_can_be_folded(tiny_encoder_folder: Path, family: str) -> None:
    network = RelevanceNetwork(
        encoder_of(family), PairEncoding(interaction="cross"), AdapterConfiguration(bottleneck=8),
        FusionConfiguration(), HeadConfiguration(),
    )  # fmt: skip
    for name in ("m0", "m1"):
        network.add_adapter(name)
    network.add_fusion("step")
    network.heads.add("shared")
    for parameter in (*network.adapters.parameters(), *network.fusions.parameters()):
        parameter.data.add_(torch.randn_like(parameter) * 0.2)
    route = Route(("m0", "m1"), "step")
    expected = logits(network.eval(), tiny_encoder_folder, route)
    found = logits(FoldedNetwork(network, route), tiny_encoder_folder, route)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_another_route_than_the_folded_one_is_refused(tiny_encoder_folder: Path) -> None:
    network = random_network(tiny_encoder_folder, ("m0", "m1"))
    folded = FoldedNetwork(network, Route(("m0", "m1"), "step"))
    with pytest.raises(ValueError, match="folded for"):
        logits(folded, tiny_encoder_folder, Route(("m0",)))


def test_a_text_alone_and_in_company_scores_the_same(tiny_encoder_folder: Path) -> None:
    route = route_of(2)
    network = FoldedNetwork(random_network(tiny_encoder_folder, route.adapters), route).pack()
    tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
    tokenized, heads = tokenizer.tokenize(PAIRS), [0] * len(PAIRS)
    together = score_tokenized(network, tokenizer, tokenized, route, heads, token_budget=4096)
    alone = score_tokenized(network, tokenizer, tokenized, route, heads, token_budget=1)
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_maps_of_a_packed_network_leave_out_the_rows_behind(tiny_encoder_folder: Path) -> None:
    route = route_of(2)
    network = random_network(tiny_encoder_folder, route.adapters, interaction="cross")
    tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
    texts = tokenizer.single_texts([tokenizer.tokenize(PAIRS[:3]).texts(row)[1] for row in range(3)], 1)
    plain, packed = AttentionMaps(), AttentionMaps()
    with torch.inference_mode():
        network.encode_texts(texts, route, plain)
        FoldedNetwork(network, route).pack().encode_texts(texts, route, packed)
    for found, expected in zip(packed.log_attention, plain.log_attention, strict=True):
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("rows", "rounded"),
    [(1, 16), (16, 16), (17, 32), (128, 128), (129, 144), (257, 288), (1025, 1152), (4096, 4096)],
)
def test_the_next_size_up(rows: int, rounded: int) -> None:
    assert rounded_rows(rows) == rounded


def test_sizes_are_few_and_near() -> None:
    sizes = {rounded_rows(rows) for rows in range(1, 4097)}
    assert len(sizes) <= 48
    assert all(rows <= rounded_rows(rows) <= max(16, 1.125 * rows + 16) for rows in range(1, 4097))


def test_what_is_behind_is_zero() -> None:
    tokens = torch.ones(3, 2)
    assert with_rows(tokens, 3) is tokens
    assert with_rows(tokens, 5).tolist() == [[1, 1]] * 3 + [[0, 0]] * 2


def inputs(texts: int, tokens: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    projected = torch.randn(texts, tokens, 3, 4, 16, generator=torch.Generator().manual_seed(0))
    return projected.to(dtype).transpose(1, 3).unbind(2)  # type: ignore[return-value]


@pytest.mark.parametrize("texts", [1, 5])
@pytest.mark.parametrize("tokens", [1, 7, 32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_scaled_dot_product_attention(texts: int, tokens: int, dtype: torch.dtype) -> None:
    query, key, value = inputs(texts, tokens, dtype)
    lengths = torch.randint(1, tokens + 1, (texts, 1), generator=torch.Generator().manual_seed(1))
    kept = torch.arange(tokens) < lengths
    for mask in (None, kept[:, None, None, :]):
        expected = functional.scaled_dot_product_attention(query.float(), key.float(), value.float(), mask)
        found = token_attention(query, key, value, mask)
        assert found.dtype == dtype
        tolerance = 1e-5 if dtype == torch.float32 else 0.04
        torch.testing.assert_close(found.float(), expected, atol=tolerance, rtol=tolerance)


def test_padding_gets_no_weight_at_all() -> None:
    query, key, value = inputs(5, 7, torch.bfloat16)
    kept = torch.ones(5, 1, 1, 7, dtype=torch.bool)
    kept[:, :, :, 3:] = False
    changed = value.clone()
    changed[:, :, 3:] = 1e6
    assert torch.equal(token_attention(query, key, value, kept), token_attention(query, key, changed, kept))
