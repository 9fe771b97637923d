from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertModel

from model_store.encoding.batch import TextBatch
from model_store.network.encoder_layers import EncoderLayers, attention_bias, written_out_attention


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
