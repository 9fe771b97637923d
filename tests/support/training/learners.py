"""Learners over the tiny encoder and separable toy data, for tests."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import BertModel, PreTrainedTokenizerFast

from model_store.encoding.tokens import PairTokenizer
from model_store.network.relevance_network import RelevanceNetwork
from training.configuration import TrainingConfiguration
from training.data.pairs import RelevancePair
from training.methods.base import Method, MethodContext
from training.methods.registry import METHODS
from training.runs.learner import ContinualLearner
from training.stages.environment import TrainingEnvironment
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows

WORDS = {
    "us": ("shoe", "hat", "lamp", "chair", "phone"),
    "es": ("zapato", "gorro", "luz", "silla", "movil"),
    "de": ("schuh", "hut", "lampe", "stuhl", "handy"),
}


def toy_configuration(**changes: object) -> TrainingConfiguration:
    stage = {"epochs": 3, "batch_size": 16, "learning_rate": 5e-3, "patience": 5}
    content = {
        "adapter": {"bottleneck": 8},
        "adapter_stage": stage,
        "fusion_stage": {**stage, "tolerance": 0.02},
        "finetuning_stage": stage,
        "checkpoint_seconds": 0,
        **changes,
    }
    return TrainingConfiguration.model_validate(content)


def toy_learner(folder: Path, configuration: TrainingConfiguration | None = None) -> ContinualLearner:
    return ContinualLearner(toy_environment(folder, configuration or toy_configuration()))


def toy_environment(folder: Path, configuration: TrainingConfiguration) -> TrainingEnvironment:
    torch.manual_seed(0)
    network = RelevanceNetwork(
        BertModel.from_pretrained(folder, add_pooling_layer=False),
        configuration.pair_encoding,
        configuration.adapter,
        configuration.fusion,
        configuration.head,
    )
    tokenizer = PairTokenizer(PreTrainedTokenizerFast.from_pretrained(folder), configuration.pair_encoding)
    return TrainingEnvironment(configuration, network, tokenizer, Accelerator(cpu=True))


def learn_us_and_es(learner: ContinualLearner, folder: Path) -> None:
    """Both steps, the second with translations into the first one's language."""
    tokenizer = learner.environment.tokenizer
    for name in ("us", "es"):
        older = {"us": LabelledTokens.of(toy_pairs("us", 32, seed=2), tokenizer)} if name == "es" else {}
        learner.learn(
            name,
            LabelledTokens.of(toy_pairs(name, 64), tokenizer),
            LabelledTokens.of(toy_pairs(name, 48, seed=1), tokenizer),
            older,
            folder / name,
        )


def toy_pairs(marketplace: str, rows: int, seed: int = 0) -> list[RelevancePair]:
    """Relevant where the title holds the query's word."""
    generator = random.Random(f"{seed}/{marketplace}")
    pairs = []
    for number in range(rows):
        word, other = generator.sample(WORDS[marketplace], 2)
        label = number % 2
        title = f"{generator.choice('abcdefgh')}{number} {word if label else other}"
        query = f"{word} {generator.choice('xyz')}{number // 4}"
        pairs.append(RelevancePair(marketplace, query, f"p{number}", title, label))
    return pairs


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
