from __future__ import annotations

import pytest
import torch
from torch import Tensor

from service.engine.interactions.encoded_texts import _ENTRY_OVERHEAD_BYTES, EncodedTexts, text_key

HIDDEN = 4
TEXTS = [[1, 2], [3], [4, 5, 6]]


def encoded(ids: list[int]) -> Tensor:
    return torch.full((HIDDEN,), float(sum(ids)))


def entry_bytes(ids: list[int]) -> int:
    return 4 * len(ids) + 4 * HIDDEN + _ENTRY_OVERHEAD_BYTES


def test_a_kept_text_is_found_and_counted() -> None:
    cache = EncodedTexts(max_bytes=10**6)
    assert cache.find(text_key(TEXTS[0])) is None
    cache.keep(text_key(TEXTS[0]), encoded(TEXTS[0]))
    found = cache.find(text_key(TEXTS[0]))
    assert found is not None
    assert found.tolist() == [3.0] * HIDDEN
    figures = cache.figures
    assert (figures.hits, figures.misses, figures.entries) == (1, 1, 1)
    assert figures.bytes == entry_bytes(TEXTS[0])


def test_texts_with_the_same_sum_of_tokens_differ() -> None:
    assert len({text_key(ids) for ids in ([1, 2], [2, 1], [3], [12], [])}) == 5


def test_the_least_recently_used_text_goes_first() -> None:
    cache = EncodedTexts(max_bytes=entry_bytes(TEXTS[0]) + entry_bytes(TEXTS[1]))
    cache.keep(text_key(TEXTS[0]), encoded(TEXTS[0]))
    cache.keep(text_key(TEXTS[1]), encoded(TEXTS[1]))
    assert cache.find(text_key(TEXTS[0])) is not None
    cache.keep(text_key([9]), encoded([9]))
    assert cache.find(text_key(TEXTS[1])) is None
    assert cache.figures.evictions == 1
    assert cache.figures.bytes <= entry_bytes(TEXTS[0]) + entry_bytes(TEXTS[1])


@pytest.mark.parametrize("limit", [0, 100])
def test_a_text_larger_than_the_cache_is_not_kept(limit: int) -> None:
    cache = EncodedTexts(limit)
    cache.keep(text_key(TEXTS[0]), encoded(TEXTS[0]))
    assert cache.find(text_key(TEXTS[0])) is None
    assert cache.figures.bytes == 0


def test_what_is_kept_does_not_hold_its_whole_batch() -> None:
    cache = EncodedTexts(max_bytes=10**6)
    batch = torch.zeros(1000, HIDDEN)
    cache.keep(text_key([7]), batch[3])
    found = cache.find(text_key([7]))
    assert found is not None
    assert found.untyped_storage().nbytes() == 4 * HIDDEN


def test_a_text_that_is_kept_twice_is_counted_once() -> None:
    cache = EncodedTexts(max_bytes=10**6)
    for _ in range(2):
        cache.keep(text_key(TEXTS[0]), encoded(TEXTS[0]))
    assert cache.figures.bytes == entry_bytes(TEXTS[0])
