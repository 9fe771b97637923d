from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import BertModel

from model_store.encoding.batch import JointBatch, TextBatch, TwoTowerBatch
from model_store.network import encoder_layers as token_packing
from model_store.network.encoder_layers import EncoderLayers, TokenPacking, attention_bias, written_out_attention
from model_store.network.interaction import AttentionMaps, Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.product import Product, QueryProductPair
from tests.support.networks import random_network, tokenizer_of


def states(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, 4, 2, 7, 8, generator=generator).unbind()
    return query.requires_grad_(), key.requires_grad_(), value.requires_grad_()


def test_attention_written_out_is_torch_s_with_its_gradients() -> None:
    lengths = torch.tensor([7, 3, 1, 5])
    bias = attention_bias(torch.arange(7) < lengths[:, None], padded=True)
    for mask in (bias, None):
        expected, found = states(0), states(0)
        nn.functional.scaled_dot_product_attention(*expected, mask).square().sum().backward()  # type: ignore[no-untyped-call]
        written_out_attention(*found, mask, 0.0).square().sum().backward()  # type: ignore[no-untyped-call]
        for one, other in zip(expected, found, strict=True):
            torch.testing.assert_close(one.grad, other.grad)


def encoded(layers: EncoderLayers, texts: TextBatch, after_attention: nn.Module | None) -> Tensor:
    hidden, bias = layers.embed(texts), attention_bias(texts.mask, texts.padded)
    for number in range(layers.depth):
        feed_forward, attended = layers.sublayers(number, hidden, bias, after_attention)
        hidden = layers.normalise(number, feed_forward + attended)
    return hidden[texts.mask]


def test_the_layers_compute_what_the_encoder_does(tiny_encoder_folder: Path) -> None:
    encoder = BertModel.from_pretrained(tiny_encoder_folder, add_pooling_layer=False)
    layers = EncoderLayers(encoder).eval()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 60, (3, 9), generator=generator)
    mask = torch.arange(9) < torch.tensor([9, 4, 1])[:, None]
    texts = TextBatch(ids, torch.zeros_like(ids), mask, torch.zeros_like(ids), padded=True)
    with torch.inference_mode():
        expected = encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state[mask]
        torch.testing.assert_close(encoded(layers, texts, None), expected)
        torch.testing.assert_close(encoded(layers, texts, nn.Identity()), expected)
        assert not torch.allclose(encoded(layers, texts, nn.ReLU()), expected, atol=1e-3)


MASK = torch.tensor([[True, True, True, True], [True, False, False, False], [True, True, False, False]])
PAIRS = [
    QueryProductPair("us", query, Product("p", title))
    for query in ("hat", "a long query of many words for a shoe")
    for title in ("lamp", "hat for a man with a long title that goes on and on")
]


def test_packed_tokens_come_back_in_their_places_and_padding_is_zero() -> None:
    packing = TokenPacking.of(MASK, padded=True)
    assert packing is not None
    hidden = torch.rand(3, 4, 5)
    packed = packing.pack(hidden)
    assert packed.shape == (1, 7, 5)
    torch.testing.assert_close(packing.unpack(packed), hidden * MASK.unsqueeze(-1), rtol=0, atol=0)


def test_gradients_go_through_both_ways() -> None:
    packing = TokenPacking.of(MASK, padded=True)
    assert packing is not None
    hidden = torch.rand(3, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(packing.pack, (hidden,))
    packed = torch.rand(1, 7, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(packing.unpack, (packed,))


@pytest.mark.parametrize(
    ("mask", "padded"),
    [(MASK, False), (torch.ones(2, 3).bool(), True), (torch.arange(40).view(1, 40) < 39, True)],
)
def test_what_has_little_padding_is_left_as_it_is(mask: torch.Tensor, padded: bool) -> None:
    assert TokenPacking.of(mask, padded) is None


@pytest.mark.parametrize(
    ("interaction", "from_states"),
    [("cross", False), ("two_tower", False), ("two_tower", True), ("late(1)", False), ("late(1)", True)],
)
@pytest.mark.parametrize("route", [Route(("us",)), Route(("us", "es"), "step")])
def test_logits_attention_and_gradients_are_those_of_padded_texts(
    tiny_encoder_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    interaction: str,
    route: Route,
    from_states: bool,
) -> None:
    network = random_network(tiny_encoder_folder, ("us", "es"), interaction=interaction)
    trained = network.train_only(
        parameter for module in network.adapter_modules("us") for parameter in module.parameters()
    )
    tokenizer = tokenizer_of(tiny_encoder_folder, network.pair_encoding)
    batch = tokenizer.batch(tokenizer.tokenize(PAIRS), range(4), [0] * 4)
    texts = batch.texts if isinstance(batch, JointBatch) else batch.products
    assert TokenPacking.of(texts.mask, texts.padded)
    if from_states:
        assert isinstance(batch, TwoTowerBatch)
        batch = _with_states(network, batch)

    def outcome() -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        maps = AttentionMaps()
        logits = network(batch, route, maps)
        gradients = torch.autograd.grad(logits.square().sum(), trained)
        looked = [log * mask.unsqueeze(-1) for log, mask in zip(maps.log_attention, maps.masks, strict=True)]
        return logits, looked, list(gradients)

    packed = outcome()
    monkeypatch.setattr(token_packing, "_WORTH_PACKING", 0.0)
    for found, expected in zip(packed, outcome(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def _with_states(network: RelevanceNetwork, batch: TwoTowerBatch) -> TwoTowerBatch:
    queries, products = batch.queries, batch.products
    return replace(
        batch,
        queries=replace(queries, states=network.frozen_states(queries)),
        products=replace(products, states=network.frozen_states(products)),
    )
