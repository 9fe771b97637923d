from __future__ import annotations

import pytest
import torch

from service.engine.folded.row_shapes import rounded_rows, with_rows


@pytest.mark.parametrize(
    ("rows", "rounded"),
    [(1, 16), (16, 16), (17, 32), (128, 128), (129, 144), (257, 288), (1025, 1152), (4096, 4096)],
)
def test_the_next_size_up(rows: int, rounded: int) -> None:
    assert rounded_rows(rows) == rounded


def test_sizes_are_few_and_near() -> None:
    sizes = {rounded_rows(rows) for rows in range(1, 4097)}
    assert len(sizes) <= 48
    assert all(rows <= rounded_rows(rows) <= max(16, 1.125 * rows + 16) for rows in range(1, 4097))


def test_what_is_behind_is_zero() -> None:
    tokens = torch.ones(3, 2)
    assert with_rows(tokens, 3) is tokens
    assert with_rows(tokens, 5).tolist() == [[1, 1]] * 3 + [[0, 0]] * 2
