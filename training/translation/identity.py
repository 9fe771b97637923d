"""No translation: two marketplaces that share a language, such as `us` and `uk`."""

from __future__ import annotations

from collections.abc import Sequence

from training.translation.base import checked_language, checked_texts


class IdentityTranslator:
    """Gives every text back: the older marketplace speaks the new one's language."""

    name = "identity"

    def __init__(self, language: str) -> None:
        self.source = self.target = checked_language(language)

    def translate(self, texts: Sequence[str]) -> list[str]:
        """The texts without surrounding white space."""
        return checked_texts(texts)
