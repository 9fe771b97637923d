"""When two spellings of a query are one query: in the cache's keys, and in splits that no query leaks through."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from model_store.text import DEFAULT_IGNORABLE

NORMALISATION_VERSION = 2
"""Raise it when the rule changes, and keep the old rule: generations written by it are read by it."""


def normalised_query(query: str, version: int = NORMALISATION_VERSION) -> str:
    """The query in Unicode's NFKC_Casefold, with runs of white space as one space and none at the ends.

    toNFKC_Casefold of chapter 3.13 of the Unicode standard: each character is replaced by its NFKC_CF mapping,
    which folds case and compatibility variants and removes what is default ignorable (soft hyphens, zero-width
    spaces and joiners, variation selectors), then the whole is brought to NFC. ICU's `nfkc_cf` gives the same.

    Args:
        version: of the rule; 1 did not remove what is default ignorable.

    Raises:
        KeyError: no such version of the rule.
    """
    return " ".join(_RULES[version](query).split())


def _nfkc_casefold(text: str) -> str:
    # ASCII has nothing to compose, to ignore or to decompose.
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", text.translate(_MAPPINGS))


class _Mappings(dict[int, str]):
    """NFKC_CF of each character that was met, by its code point."""

    def __missing__(self, code_point: int) -> str:
        mapping = self[code_point] = _mapping_of(chr(code_point))
        return mapping


def _mapping_of(character: str) -> str:
    """As Unicode derives the property: folded, normalised and rid of what is ignorable until nothing changes."""
    before, mapping = "", character
    while mapping != before:
        before = mapping
        mapping = unicodedata.normalize("NFKC", DEFAULT_IGNORABLE.sub("", mapping).casefold())
    return mapping


def _without_removal(query: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", query).casefold())
    return unicodedata.normalize("NFKC", folded.casefold())


_MAPPINGS = _Mappings()
_RULES: dict[int, Callable[[str], str]] = {1: _without_removal, 2: _nfkc_casefold}
