from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from service.engine.shape_buckets import bucket_of, filled


@given(st.integers(1, 5000), st.integers(1, 512))
def test_a_bucket_holds_the_batch_and_wastes_little(texts: int, tokens: int) -> None:
    rows, width = bucket_of(texts, tokens)
    assert texts <= rows < 2 * texts
    assert tokens <= width < tokens + (16 if tokens <= 128 else 64)


def test_there_are_few_shapes() -> None:
    shapes = {bucket_of(texts, tokens) for tokens in range(1, 129) for texts in range(1, 16384 // tokens + 1)}
    assert len(shapes) <= 8 * 15


def test_a_batch_lies_in_the_corner_and_the_rest_is_padding() -> None:
    hidden, mask = torch.randn(3, 5, 4), torch.ones(3, 5, dtype=torch.bool)
    mask[1, 3:] = False
    into_hidden, into_mask = torch.full((4, 16, 4), 7.0), torch.ones(4, 16, dtype=torch.bool)
    filled(hidden, mask, into_hidden, into_mask)
    assert torch.equal(into_hidden[:3, :5], hidden)
    assert not into_hidden[3:].any()
    assert not into_hidden[:, 5:].any()
    assert torch.equal(into_mask[:3, :5], mask)
    assert into_mask.sum() == mask.sum() + 1
    assert into_mask.any(dim=1).all()
