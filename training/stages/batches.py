"""Which rows make up which batch: seeded, independent of what ran before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_store.encoding.length_batches import length_batches


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one data set that make one optimiser step."""

    data_set: str
    rows: np.ndarray


def epoch_batches(sizes: dict[str, int], batch_size: int, seed: int, epoch: int) -> list[Batch]:
    """Shuffle every data set, cut it into batches, and shuffle the batches of all together.

    A batch comes from one data set. The order depends on the seed and the epoch alone, so that an
    interrupted epoch can be gone on with.
    """
    generator = np.random.default_rng([seed, epoch])
    batches = [
        Batch(name, rows)
        for name, size in sizes.items()
        for rows in _cut(generator.permutation(size), batch_size)
    ]
    return [batches[place] for place in generator.permutation(len(batches))]


def _cut(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return np.array_split(rows, max(1, round(len(rows) / batch_size))) if len(rows) else []


def micro_batches(rows: np.ndarray, lengths: np.ndarray, token_budget: int) -> list[np.ndarray]:
    """Cut a batch's rows by the token budget, rows of similar length together."""
    return [rows[places] for places in length_batches(lengths[rows], token_budget)]
