"""A bounded cache of encoded texts: what a text costs is paid once, not for every pair and call it comes in."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor

from model_store.encoding.tokens import TokenIds

_ENTRY_OVERHEAD_BYTES = 400
"""A key, a tensor object and a place in the dictionary."""

TextKey = bytes


@dataclass(slots=True)
class EncodedTextFigures:
    """What the cache did so far, and its size now."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    entries: int = 0
    bytes: int = 0


class EncodedTexts:
    """Bounded by bytes, the least recently used text out first. One per model version; one thread.

    What is kept of a text depends on its tokens and the version alone: its vector with two towers, the states
    (tokens, hidden) below the joint layers with `late(k)`.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._encoded: OrderedDict[TextKey, Tensor] = OrderedDict()
        self.figures = EncodedTextFigures()

    def clear(self) -> None:
        """Forget all texts; what was counted stays."""
        self._encoded.clear()
        self.figures.bytes = self.figures.entries = 0

    def find(self, key: TextKey) -> Tensor | None:
        """What is known of a text, counted as a hit or a miss."""
        encoded = self._encoded.get(key)
        if encoded is None:
            self.figures.misses += 1
        else:
            self.figures.hits += 1
            self._encoded.move_to_end(key)
        return encoded

    def keep(self, key: TextKey, encoded: Tensor) -> None:
        """Remember a text; one that is larger than the whole cache is not kept."""
        size = _size(key, encoded)
        if size > self.max_bytes or key in self._encoded:
            return
        # Copied: a row would keep its whole batch in memory.
        self._encoded[key] = encoded.clone()
        self.figures.bytes += size
        while self.figures.bytes > self.max_bytes:
            oldest, dropped = self._encoded.popitem(last=False)
            self.figures.bytes -= _size(oldest, dropped)
            self.figures.evictions += 1
        self.figures.entries = len(self._encoded)


def text_key(ids: TokenIds) -> TextKey:
    """A text's key: its tokens, a prefix such as `query: ` among them."""
    return array("i", ids).tobytes()


def _size(key: TextKey, encoded: Tensor) -> int:
    return len(key) + encoded.numel() * encoded.element_size() + _ENTRY_OVERHEAD_BYTES
