"""A lexicon entry: what one concept is called in every language, with agreement where a language has it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal[
    "type", "accessory", "color", "material", "audience", "capacity", "feature", "function", "marketing"
]

LANGUAGES: tuple[str, ...] = ("en", "es", "ja", "de", "ru", "pt")
"""ISO 639-1 codes in the order of the lexicon's columns."""

_ROMANCE = ("m", "f", "mp", "fp")
GENDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"es": _ROMANCE, "pt": _ROMANCE, "ru": ("m", "f", "n", "p")}
)
"""Genders and numbers in the order of the inflected forms, for the languages whose adjectives agree."""

DEFAULT_GENDER = "m"


@dataclass(frozen=True, slots=True)
class Word:
    """One way to say an entry: a single form, or one for each of the language's `GENDERS`.

    `gender` is what adjectives agree with when the word is a noun.
    """

    forms: tuple[str, ...]
    gender: str = DEFAULT_GENDER

    def agreeing(self, language: str, gender: str) -> str:
        """The form that agrees with a noun of `gender`."""
        if len(self.forms) == 1:
            return self.forms[0]
        return self.forms[GENDERS[language].index(gender)]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A concept and its words by language, the name first, then synonyms and slang.

    Two entries are equal only if they are the same object: the lexicon is read once.
    """

    key: str
    kind: Kind
    words: Mapping[str, tuple[Word, ...]]

    @property
    def is_noun(self) -> bool:
        """Whether adjectives agree with it: product types and accessories."""
        return self.kind in ("type", "accessory")

    def name(self, language: str) -> str:
        """The first form of the first word."""
        return self.words[language][0].forms[0]

    def word(self, language: str, place: int) -> Word:
        """The word at `place`, or the name where the language has fewer words."""
        words = self.words[language]
        return words[place] if place < len(words) else words[0]


def without_accents(text: str) -> str:
    """`text` as hurried people type it: no accents, "ё" as "е"; kana keep their voicing marks."""
    decomposed = unicodedata.normalize("NFD", text)
    kept = (c for c in decomposed if not ("\u0300" <= c <= "\u036f") or c == "\u0306")
    return unicodedata.normalize("NFC", "".join(kept))
