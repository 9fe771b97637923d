"""Translates the catalogue's texts exactly, by its own lexicon."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from model_store.errors import TranslationError
from training.data.catalogue.lexicon import Lexicon, load_lexicon
from training.data.catalogue.marketplaces import all_brands
from training.data.catalogue.wording import Piece, joined
from training.data.catalogue.words import DEFAULT_GENDER, LANGUAGES, Entry, without_accents
from training.translation.base import checked_language, pair_name, translate_distinct

_WITHOUT_SPACES = frozenset({"ja"})


class CatalogueTranslator:
    """Replaces the lexicon's phrases, the longest first; brands, codes and unknown words stay as they are.

    Adjectives agree with the first product named. The order of words stays.

        CatalogueTranslator("en", "es").translate(["red kicks"])  # ["rojos tenis"]

    Raises:
        ConfigurationError: not an ISO 639-1 code.
        TranslationError: a language that the lexicon lacks, or twice the same.
    """

    def __init__(self, source: str, target: str) -> None:
        self.source = checked_language(source)
        self.target = checked_language(target)
        _check_pair(source, target)
        lexicon = load_lexicon()
        self.name = f"catalogue-{_digest(lexicon)}"
        self._phrases = _phrases(lexicon, source)
        self._pattern = _pattern([*self._phrases, *(brand.lower() for brand in all_brands())], source)

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Translate `texts`; a text all in small letters stays so. See `Translator.translate`."""
        return translate_distinct(texts, self, lambda distinct: [self._translated(text) for text in distinct])

    def _translated(self, text: str) -> str:
        matches = list(self._pattern.finditer(text))
        gender = self._gender(matches)
        parts, end = [], 0
        for match in matches:
            parts += [text[end : match.start()], self._replacement(match.group(), gender)]
            end = match.end()
        parts.append(text[end:])
        translated = self._spaced(parts)
        return translated.lower() if text.islower() else translated

    def _found(self, match: re.Match[str]) -> tuple[Entry, int] | None:
        return self._phrases.get(match.group().lower())

    def _gender(self, matches: Sequence[re.Match[str]]) -> str:
        for match in matches:
            found = self._found(match)
            if found is not None and found[0].is_noun:
                return found[0].word(self.target, found[1]).gender
        return DEFAULT_GENDER

    def _replacement(self, text: str, gender: str) -> str:
        found = self._phrases.get(text.lower())
        if found is None:
            return text
        entry, place = found
        translation = entry.word(self.target, place).agreeing(self.target, gender)
        capital = text[0] != text[0].lower()
        return translation[0].upper() + translation[1:] if capital else translation

    def _spaced(self, parts: Sequence[str]) -> str:
        """Texts without spaces get them around what was translated."""
        if self.source not in _WITHOUT_SPACES:
            return "".join(parts)
        return joined([Piece(part.strip()) for part in parts if part.strip()])


def _check_pair(source: str, target: str) -> None:
    unknown = [language for language in (source, target) if language not in LANGUAGES]
    if unknown or source == target:
        raise TranslationError(
            f"the catalogue does not translate {pair_name(source, target)}: choose two different languages of "
            f"{', '.join(LANGUAGES)}, or another translator for this pair"
        )


def _phrases(lexicon: Lexicon, language: str) -> dict[str, tuple[Entry, int]]:
    """Every form of every word, and as typed without accents or "ß" where that is no other word."""
    phrases = {
        form.lower(): (entry, place)
        for entry in lexicon.entries
        for place, word in enumerate(entry.words[language])
        for form in word.forms
    }
    for phrase, meaning in list(phrases.items()):
        phrases.setdefault(without_accents(phrase), meaning)
        phrases.setdefault(phrase.casefold(), meaning)
    return phrases


def _pattern(phrases: Sequence[str], language: str) -> re.Pattern[str]:
    longest_first = sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))
    alternatives = "|".join(re.escape(phrase) for phrase in longest_first)
    bounded = alternatives if language in _WITHOUT_SPACES else rf"(?<!\w)(?:{alternatives})(?!\w)"
    return re.compile(bounded, re.IGNORECASE)


def _digest(lexicon: Lexicon) -> str:
    """Names the lexicon's contents, so that translations kept from another lexicon are not taken for these."""
    words = "\n".join(
        form
        for entry in lexicon.entries
        for language in LANGUAGES
        for word in entry.words[language]
        for form in word.forms
    )
    return hashlib.blake2b(words.encode(), digest_size=4).hexdigest()
