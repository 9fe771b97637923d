from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.encoding.batch import SPECIAL_TOKENS, length_batches
from service.engine.interactions.interaction import BATCH_COST_TOKENS, rows_of_batch, tight_batches


def cost(lengths: np.ndarray, batches: list[np.ndarray]) -> int:
    """Tokens that are computed, padding and what each batch costs included."""
    return sum(len(rows) * int(lengths[rows].max()) + BATCH_COST_TOKENS for rows in batches)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=60), st.integers(16, 2000))
def test_every_row_is_in_one_batch_within_the_budget(numbers: list[int], token_budget: int) -> None:
    lengths = np.array(numbers, dtype=np.int64)
    batches = tight_batches(lengths, token_budget)
    assert sorted(row for rows in batches for row in rows.tolist()) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * (int(lengths[rows].max()) + SPECIAL_TOKENS) <= token_budget


def test_realistic_lengths_cost_less_than_full_batches() -> None:
    lengths = np.random.default_rng(0).gamma(4, 10, size=256).astype(np.int64)
    for token_budget in (512, 2048, 8192):
        tight, full = tight_batches(lengths, token_budget), length_batches(lengths, token_budget)
        assert cost(lengths, tight) <= cost(lengths, full)
    padded = sum(len(rows) * int(lengths[rows].max()) for rows in tight_batches(lengths, 8192))
    assert padded < 1.2 * int(lengths.sum())


@pytest.mark.parametrize(
    ("lengths", "rows"),
    [([50], 1), ([50, 49, 48], 3), ([50] * 3 + [5] * 3, 3), ([50, 49, 48, 2], 4), ([90] + [50] * 20, 1)],
)
def test_rows_are_left_out_where_that_saves_more_than_a_batch_costs(lengths: list[int], rows: int) -> None:
    assert rows_of_batch(np.array(lengths), 100_000) == rows


def test_nothing_makes_no_batch() -> None:
    assert tight_batches(np.zeros(0, dtype=np.int64), 100) == []
