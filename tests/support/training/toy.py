"""Methods over the tiny encoder and separable toy data, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from model_store.encoding.tokens import PairTokenizer
from tests.support.training.learners import toy_configuration, toy_pairs
from training.methods.base import Method, MethodContext
from training.methods.registry import METHODS
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows

SEQUENCE = ("us", "es", "de")


def toy_method(name: str, encoder: Path, folder: Path, **changes: object) -> Method:
    stage: dict[str, object] = {
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "patience": 5,
        "dropout": True,
    }
    own = own_settings(stage)
    # One process has one precision, and the other tests' is float32.
    settings = {"base_encoder": f"folder:{encoder}", "precision": "float32", **own}
    settings.update(changes)
    return METHODS[name](MethodContext.of(toy_configuration(**settings), folder))


def own_settings(stage: dict[str, object], masked: dict[str, object] | None = None) -> dict[str, object]:
    """Settings of the methods that have their own, in a small size; those with masks can have another stage."""
    small = {"bottleneck": 8, "stage": masked or stage}
    return {"hat": small, "b_cl": small, "ctr": {**small, "channels": 4}, "dytox": {"stage": stage}}


def toy_rows(tokenizer: PairTokenizer, marketplace: str, older: Sequence[str] = ()) -> MarketplaceRows:
    return MarketplaceRows(
        marketplace,
        LabelledTokens.of(toy_pairs(marketplace, 64), tokenizer),
        LabelledTokens.of(toy_pairs(marketplace, 48, seed=1), tokenizer),
        {name: LabelledTokens.of(toy_pairs(name, 32, seed=2), tokenizer) for name in older},
    )


def learn(method: Method, sequence: Sequence[str] = SEQUENCE) -> None:
    """Learn the rest of the sequence; a joint method learns it at once."""
    tokenizer = method.context.tokenizer
    if method.is_joint:
        method.learn_together({name: toy_rows(tokenizer, name) for name in sequence})
        return
    for place, name in enumerate(sequence):
        if name not in method.marketplaces:
            method.learn(toy_rows(tokenizer, name, sequence[:place]))


def logits_of(method: Method, marketplace: str) -> np.ndarray:
    tokens = LabelledTokens.of(toy_pairs(marketplace, 40, seed=5), method.context.tokenizer)
    return method.logits(marketplace, tokens.tokenized)


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
