from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.network.interaction import AttentionMaps
from model_store.product import Product, QueryProductPair
from model_store.versions.loading import load_version
from service.engine.scorer import Scorer
from tests.support.tiny_model import build_tiny_store

PAIRS = [
    QueryProductPair("us", query, Product(str(number), "title " * (1 + 5 * number)))
    for number in range(4)
    for query in ("usb cable", "tea")
]


@pytest.mark.parametrize("interaction", ["two_tower", "cross", "late(1)"])
def test_it_is_the_unfolded_networks_attention_over_each_pairs_tokens(tmp_path: Path, interaction: str) -> None:
    store = build_tiny_store(tmp_path, ("us", "es", "jp"), interaction=interaction)
    loaded = load_version(store)
    found = Scorer(load_version(store), token_budget=64).explain(PAIRS)
    for pair, explanation in zip(PAIRS, found, strict=True):
        # One pair alone: nothing is padded, so every token counts.
        batch = loaded.tokenizer.batch(loaded.tokenizer.tokenize([pair]), [0], [0])
        maps = AttentionMaps()
        with torch.inference_mode():
            loaded.network(batch, loaded.route, maps)
        tokens = torch.cat([log.exp().flatten(0, 1) for log in maps.log_attention])
        expected = dict(zip(("us", "es", "jp"), tokens.mean(0).tolist(), strict=True))
        assert explanation.weights == pytest.approx(expected, abs=1e-4)
        assert explanation.layers.shape == (loaded.network.depth, 3)
        np.testing.assert_allclose(explanation.layers.sum(1), 1.0, atol=1e-5)
        assert explanation.weights_by_layer[0].keys() == {"us", "es", "jp"}


def test_one_adapter_alone_has_all_the_weight(tmp_path: Path) -> None:
    scorer = Scorer(load_version(build_tiny_store(tmp_path, ("us",))))
    assert [explanation.weights for explanation in scorer.explain(PAIRS[:2])] == [{"us": 1.0}] * 2
