"""Encoded texts of one model version, kept in memory: a text that comes again is not encoded again."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_store.pair_tokens import TokenIds

Encode = Callable[[list[TokenIds]], Tensor]
"""Takes distinct token sequences to their vectors, (texts, hidden)."""

_ENTRY_OVERHEAD_BYTES = 400
"""A key, a tensor object and a place in the dictionary."""


@dataclass(slots=True)
class EncodedTextFigures:
    """What the cache did so far, and its size now."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    entries: int = 0
    bytes: int = 0


class EncodedTexts:
    """A cache bounded by bytes, the least recently used text out first. One per model version; one thread."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._vectors: OrderedDict[tuple[int, bytes], Tensor] = OrderedDict()
        self.figures = EncodedTextFigures()

    def vectors(self, texts: Sequence[TokenIds], segment: int, encode: Encode) -> Tensor:
        """Vectors of distinct texts, (texts, hidden) in their order; `encode` gets those that are not known.

        Args:
            segment: tells queries from products: equal tokens of the two are different texts.
        """
        keys = [(segment, array("i", ids).tobytes()) for ids in texts]
        found = [self._vectors.get(key) for key in keys]
        missing = [place for place, vector in enumerate(found) if vector is None]
        self.figures.hits += len(found) - len(missing)
        self.figures.misses += len(missing)
        if len(missing) == len(texts):
            encoded = encode(list(texts))
            self._keep(keys, encoded)
            return encoded
        for place, vector in zip(missing, encode([texts[place] for place in missing]), strict=True):
            found[place] = vector
        stacked = torch.stack([vector for vector in found if vector is not None])
        self._keep(keys, stacked)
        return stacked

    def _keep(self, keys: Sequence[tuple[int, bytes]], vectors: Tensor) -> None:
        for key, vector in zip(keys, vectors, strict=True):
            if key in self._vectors:
                self._vectors.move_to_end(key)
                continue
            size = _size(key, vector)
            if size > self._max_bytes:
                continue
            # A row is copied: it would keep its whole batch in memory.
            self._vectors[key] = vector.clone()
            self.figures.bytes += size
            while self.figures.bytes > self._max_bytes:
                oldest, dropped = self._vectors.popitem(last=False)
                self.figures.bytes -= _size(oldest, dropped)
                self.figures.evictions += 1
        self.figures.entries = len(self._vectors)


def _size(key: tuple[int, bytes], vector: Tensor) -> int:
    return len(key[1]) + vector.numel() * vector.element_size() + _ENTRY_OVERHEAD_BYTES
