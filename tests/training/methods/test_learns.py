"""Every method learns one marketplace of the catalogue about as well as plain fine-tuning does."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from model_store.metrics import roc_auc
from training.configuration import load_configuration
from training.data.pairs import RelevancePair
from training.data.sources import parse_source
from training.methods.base import MethodContext
from training.methods.registry import METHODS
from training.runs.marketplace_data import checked_splits
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows

MARKETPLACE = "us"
PEER = "sequential_finetuning"
# As the plans train; many rows are tested, since the distance asked for is that of two seeds on a few hundred.
CONFIGURATION = load_configuration(
    "small",
    {
        "base_encoder": "packaged:2",
        "translation": "none",
        "test_share": 0.4,
        "adapter_stage": {"epochs": 6},
        "finetuning_stage": {"epochs": 6},
    },
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("methods")


@cache
def catalogue_rows() -> dict[str, tuple[RelevancePair, ...]]:
    pairs = parse_source("catalogue:2000").load([MARKETPLACE], CONFIGURATION.seed)
    return checked_splits(pairs, CONFIGURATION, "catalogue")[MARKETPLACE].named()


@cache
def learnt_auc(name: str, folder: Path) -> float:
    context = MethodContext.of(CONFIGURATION, folder / name)
    tokens = {part: LabelledTokens.of(pairs, context.tokenizer) for part, pairs in catalogue_rows().items()}
    rows = MarketplaceRows(MARKETPLACE, tokens["train"], tokens["validation"])
    method = METHODS[name](context)
    if method.is_joint:
        method.learn_together({MARKETPLACE: rows})
    else:
        method.learn(rows)
    return roc_auc(tokens["test"].labels, method.logits(MARKETPLACE, tokens["test"].tokenized))


@pytest.mark.parametrize("name", [name for name in METHODS if name != PEER])
def test_it_learns_a_marketplace_as_plain_fine_tuning_does(name: str, folder: Path) -> None:
    assert learnt_auc(name, folder) >= learnt_auc(PEER, folder) - 0.02
