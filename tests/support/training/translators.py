from __future__ import annotations

from collections.abc import Sequence

from training.translation.base import translate_distinct


class CountingTranslator:
    """Upper case with a mark, and a record of every batch that it was asked for."""

    def __init__(self, source: str = "en", target: str = "es", name: str = "counting") -> None:
        self.name = name
        self.source = source
        self.target = target
        self.batches: list[list[str]] = []

    def translate(self, texts: Sequence[str]) -> list[str]:
        return translate_distinct(texts, self, self._upper)

    def _upper(self, texts: list[str]) -> list[str]:
        self.batches.append(texts)
        return [f"{self.target}:{text.upper()}" for text in texts]

    @property
    def asked(self) -> list[str]:
        return [text for batch in self.batches for text in batch]
