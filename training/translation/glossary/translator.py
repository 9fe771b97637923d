"""Translation by a phrase table, longest match first; what the table lacks stays as it is.

The result switches languages within a text, a known augmentation for cross-lingual training (CoSDA-ML, Qin et
al., IJCAI 2020).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from model_store.errors import TranslationError
from training.data.taxonomy.source import taxonomy_phrases
from training.translation.base import checked_language, checked_texts, pair_name, translate_distinct
from training.translation.glossary.file import read_phrases
from training.translation.glossary.tokens import (
    WITHOUT_SPACES,
    Token,
    folded,
    in_the_case_of,
    is_word,
    katakana_words,
    surfaces,
    tokenise,
)

_MATCHING_VERSION = 1


class _Match(NamedTuple):
    """Tokens `start` to `end` (exclusive) and what they become."""

    start: int
    end: int
    translation: str


class _Node:
    """A step of the trie of phrases: the tokens that may follow, and the translation of what led here."""

    __slots__ = ("following", "translation")

    def __init__(self) -> None:
        self.following: dict[str, _Node] = {}
        self.translation: str | None = None


class GlossaryTranslator:
    """Replaces the phrases of a table by their translations.

    Words match whole and whatever their case or Unicode width; in Japanese, Chinese and Thai, which put no
    spaces between words, single characters match, but a katakana word is translated whole or not at all. Text
    between two matches stays as it is.

    Args:
        phrases: translations by phrase; of two phrases that differ in case only the first counts.
        source: ISO 639-1 code of the phrases' language.
        target: ISO 639-1 code of the translations' language.

    Raises:
        TranslationError: no phrase holds a word.
    """

    def __init__(self, phrases: Mapping[str, str], source: str, target: str) -> None:
        self.source = checked_language(source)
        self.target = checked_language(target)
        self._root = _Node()
        for phrase, translation in phrases.items():
            self._add(phrase, translation)
        if not self._root.following:
            raise TranslationError(
                f"the glossary for {pair_name(source, target)} has no phrase: add some, or choose another "
                "translator for this pair"
            )
        self.name = f"glossary {_MATCHING_VERSION} {_digest(phrases)}"

    @classmethod
    def from_path(cls, path: Path, source: str, target: str) -> GlossaryTranslator:
        """A table from a TSV, CSV or JSON file (see `read_phrases`), or from a taxonomy's folder.

        Raises:
            InputError: the file is missing or garbled.
            TranslationError: it has nothing for this language pair.
        """
        if path.is_dir():
            return cls(taxonomy_phrases(path, source, target), source, target)
        return cls(read_phrases(path, source, target), source, target)

    def translate(self, texts: Sequence[str]) -> list[str]:
        """As `Translator.translate`; a text without any known phrase comes back as it is."""
        return translate_distinct(texts, self, lambda distinct: [self._translated(text) for text in distinct])

    def coverage(self, texts: Sequence[str]) -> float:
        """Share of the words of `texts` (characters, in languages without spaces) that the table translates.

        Punctuation does not count; without any word the share is 0.
        """
        replaced = words = 0
        for text in checked_texts(texts):
            tokens = tokenise(text, self.source)
            words += sum(token.is_word for token in tokens)
            replaced += sum(
                token.is_word for start, end, _ in self._matches(tokens) for token in tokens[start:end]
            )
        return replaced / words if words else 0.0

    def _add(self, phrase: str, translation: str) -> None:
        tokens = surfaces(phrase, self.source)
        if not translation.strip() or not any(is_word(token) for token in tokens):
            return
        node = self._root
        for token in map(folded, tokens):
            following = node.following.get(token)
            if following is None:
                following = node.following[token] = _Node()
            node = following
        if node.translation is None:
            node.translation = translation.strip()

    def _matches(self, tokens: Sequence[Token]) -> list[_Match]:
        """Each longest match, from left to right, without overlap."""
        matches = list(self._longest_matches(tokens))
        return _without_torn_katakana(tokens, matches) if self.source == "ja" else matches

    def _longest_matches(self, tokens: Sequence[Token]) -> Iterator[_Match]:
        position = 0
        while position < len(tokens):
            end, translation = self._longest_match(tokens, position)
            if translation is None:
                position += 1
                continue
            yield _Match(position, end, translation)
            position = end

    def _longest_match(self, tokens: Sequence[Token], start: int) -> tuple[int, str | None]:
        node: _Node | None = self._root
        best: tuple[int, str | None] = (start, None)
        for position in range(start, len(tokens)):
            node = node.following.get(tokens[position].folded) if node else None
            if node is None:
                break
            if node.translation is not None:
                best = (position + 1, node.translation)
        return best

    def _translated(self, text: str) -> str:
        tokens = tokenise(text, self.source)
        pieces: list[str] = []
        done = 0
        for start, end, translation in self._matches(tokens):
            first, last = tokens[start].start, tokens[end - 1].end
            pieces += [text[done:first], in_the_case_of(text[first:last], translation, self.target)]
            done = last
        pieces.append(text[done:])
        if self.source in WITHOUT_SPACES and self.target not in WITHOUT_SPACES:
            return _spaced(pieces)
        return "".join(pieces)


def _without_torn_katakana(tokens: Sequence[Token], matches: Sequence[_Match]) -> list[_Match]:
    """Leave out matches that would translate a part of a katakana word: "six" in the name "asics"."""
    matched = {place for match in matches for place in range(match.start, match.end)}
    torn = {place for word in katakana_words(tokens) if not matched.issuperset(word) for place in word}
    return [match for match in matches if torn.isdisjoint(range(match.start, match.end))]


def _spaced(pieces: Sequence[str]) -> str:
    """Join, with a space wherever two pieces would run into one word."""
    joined = ""
    for piece in pieces:
        if joined and piece and joined[-1].isalnum() and piece[0].isalnum():
            joined += " "
        joined += piece
    return joined


def _digest(phrases: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for phrase, translation in phrases.items():
        digest.update(f"{phrase}\0{translation}\0".encode())
    return digest.hexdigest()[:16]
