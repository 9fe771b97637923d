from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from service.engine.encoded_texts import EncodedTexts

HIDDEN = 8


class CountingEncoder:
    """A vector that depends on the tokens; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, texts: list[list[int]]) -> Tensor:
        self.asked += texts
        return vectors(texts)


def vectors(texts: Sequence[Sequence[int]]) -> Tensor:
    return torch.tensor([[float(sum(ids))] * HIDDEN for ids in texts]).reshape(len(texts), HIDDEN)


def test_a_text_is_encoded_once_and_answers_keep_their_order() -> None:
    cache, encode = EncodedTexts(1_000_000), CountingEncoder()
    first, second = [[1, 2], [3], [4, 5, 6]], [[3], [9], [1, 2]]
    torch.testing.assert_close(cache.vectors(first, 1, encode), vectors(first))
    torch.testing.assert_close(cache.vectors(second, 1, encode), vectors(second))
    assert encode.asked == [*first, [9]]
    assert (cache.figures.hits, cache.figures.misses, cache.figures.entries) == (2, 4, 4)


def test_equal_tokens_of_a_query_and_a_product_are_two_texts() -> None:
    cache, encode = EncodedTexts(1_000_000), CountingEncoder()
    cache.vectors([[1]], 1, encode)
    cache.vectors([[1]], 2, encode)
    assert encode.asked == [[1], [1]]


def test_the_least_recently_used_goes_first_and_the_bytes_stay_bounded() -> None:
    entry = 4 + 4 * HIDDEN + 400
    cache, encode = EncodedTexts(3 * entry), CountingEncoder()
    for token in (1, 2, 3, 1, 4):
        cache.vectors([[token]], 1, encode)
    assert cache.figures.bytes == 3 * entry
    assert (cache.figures.evictions, cache.figures.entries) == (1, 3)
    encode.asked.clear()
    cache.vectors([[1], [3], [4]], 1, encode)
    assert encode.asked == []
    cache.vectors([[2]], 1, encode)
    assert encode.asked == [[2]]


def test_a_cache_of_no_size_keeps_nothing_and_no_texts_are_no_vectors() -> None:
    cache, encode = EncodedTexts(0), CountingEncoder()
    for _ in range(2):
        cache.vectors([[1]], 1, encode)
    assert encode.asked == [[1], [1]]
    assert cache.vectors([], 1, encode).shape == (0, HIDDEN)
