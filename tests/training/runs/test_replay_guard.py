from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model_store.errors import ReplayError
from tests.support.training.learners import SEQUENCE, toy_method, toy_rows
from training.methods.base import Method
from training.methods.registry import METHODS
from training.methods.sequential_finetuning import SequentialFinetuning
from training.runs.replay_guard import lent_rows
from training.stages.labelled_tokens import MarketplaceRows


def cheating(keep: Callable[[MarketplaceRows], object]) -> type[SequentialFinetuning]:
    class Cheating(SequentialFinetuning):
        name = "cheating"

        def learn(self, rows: MarketplaceRows) -> None:
            self.marketplaces.append(rows.marketplace)
            self.memory = keep(rows)

    return Cheating


def labels_in_a_view(rows: MarketplaceRows) -> np.ndarray:
    return rows.train.labels[:3]


@pytest.mark.parametrize(
    ("keep", "place"),
    [
        (lambda rows: rows, r"us \(es\), us \(train\), us \(validation\)"),
        (lambda rows: rows.train, r"us \(train\)"),
        (lambda rows: rows.validation.tokenized, r"us \(validation\)"),
        (labels_in_a_view, r"us \(train\)"),
        (lambda rows: dict(rows.translated), r"us \(es\)"),
        (lambda rows: lambda: rows.train.lengths, r"us \(es\), us \(train\), us \(validation\)"),
    ],
)
def test_a_method_that_keeps_rows_or_a_part_of_them_is_caught(
    tiny_encoder_folder: Path, tmp_path: Path, keep: Callable[[MarketplaceRows], object], place: str
) -> None:
    context = toy_method("sequential_finetuning", tiny_encoder_folder, tmp_path).context
    method = cheating(keep)(context)
    with (
        pytest.raises(ReplayError, match=f"cheating still holds rows of {place}"),
        lent_rows(method.name) as lend,
    ):
        method.learn(lend(toy_rows(context.tokenizer, "us", ("es",))))


@pytest.mark.parametrize("name", METHODS)
def test_no_method_keeps_rows(name: str, tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method: Method = toy_method(name, tiny_encoder_folder, tmp_path)
    tokenizer = method.context.tokenizer
    with lent_rows(name) as lend:
        if method.is_joint:
            method.learn_together({place: lend(toy_rows(tokenizer, place)) for place in SEQUENCE[:2]})
        else:
            method.learn(lend(toy_rows(tokenizer, "us")))
    if not method.is_joint:
        with lent_rows(name) as lend:
            method.learn(lend(toy_rows(tokenizer, "es", ("us",))))
    assert method.marketplaces == ["us", "es"]


def test_an_error_of_the_method_is_not_hidden(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    method = toy_method("adapter", tiny_encoder_folder, tmp_path)
    kept = []
    with pytest.raises(ZeroDivisionError), lent_rows(method.name) as lend:
        kept.append((lend(toy_rows(method.context.tokenizer, "us")), 1 / 0))
