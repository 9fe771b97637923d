from __future__ import annotations

import numpy as np

from model_store.encoding.batch import SPECIAL_TOKENS, length_batches
from training.stages.labelled_tokens import epoch_batches, micro_batches


def test_an_epoch_takes_every_row_once_and_never_mixes_data_sets() -> None:
    batches = epoch_batches({"new": 100, "us": 30}, batch_size=16, seed=1, epoch=0)
    for name, size in (("new", 100), ("us", 30)):
        rows = np.concatenate([batch.rows for batch in batches if batch.data_set == name])
        assert sorted(rows.tolist()) == list(range(size))


def test_epochs_differ_and_the_same_epoch_is_the_same() -> None:
    def rows(epoch: int) -> list[int]:
        return [int(row) for batch in epoch_batches({"a": 50}, 8, 1, epoch) for row in batch.rows]

    assert rows(0) == rows(0)
    assert rows(0) != rows(1)


def test_micro_batches_keep_to_the_token_budget_and_lose_no_row() -> None:
    lengths = np.random.default_rng(0).integers(3, 90, 200)
    rows = np.arange(50, 150)
    parts = micro_batches(rows, lengths, 256)
    assert sorted(np.concatenate(parts).tolist()) == rows.tolist()
    for part in parts:
        assert len(part) * (lengths[part].max() + SPECIAL_TOKENS) <= 256


def test_a_row_longer_than_the_budget_gets_a_batch_of_its_own() -> None:
    assert [batch.tolist() for batch in length_batches(np.array([10, 500, 10]), 64)] == [[1], [0, 2]]
