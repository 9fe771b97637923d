"""Words of a text with their places in it, as the glossary matches them, and the case of what replaces them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_LETTERS = re.compile(r"\w+")
_CAPITALISED_NOUNS = frozenset({"de"})
_LONGEST_ACRONYM = 4


def in_the_case_of(matched: str, translation: str, target: str) -> str:
    """`translation` in lower case, upper case or with a capital, as `matched` is written.

    Phrase tables write entries with capitals, queries are in lower case. Words that the table writes in
    capitals throughout ("LED") or mixed ("iPhone") stay, and so does German, whose nouns have capitals.
    """
    if matched.islower():
        return translation if target in _CAPITALISED_NOUNS else _LETTERS.sub(_lower_if_title, translation)
    if matched.isupper() and len(matched) > _LONGEST_ACRONYM:
        return translation.upper()
    if matched[:1].isupper() and translation.split(maxsplit=1)[0].islower():
        return translation[:1].upper() + translation[1:]
    return translation


def _lower_if_title(match: re.Match[str]) -> str:
    word = match.group()
    return word.lower() if word.istitle() else word


WITHOUT_SPACES = frozenset({"ja", "zh", "th"})
"""Languages that put no spaces between words: their single characters are tokens."""

_LAST_COMBINING_MARK = 0x3100
"""Code points from here on need no class of marks: they are letters of scripts without combining marks."""

_MARKS = (
    "".join(chr(code) for code in range(0x300, _LAST_COMBINING_MARK) if unicodedata.category(chr(code))[0] == "M")
    + "\uff9e\uff9f"
)
# Python's \w leaves combining marks out, and Hindi, Thai or decomposed accents would fall to pieces. A single
# letter after an apostrophe ("women's") belongs to the word; one before it ("l'eau") is a word of its own.
_WORD = re.compile(rf"\w[\w{_MARKS}]*(?:['’]\w\b)?|[^\s\w\-]")
_CHARACTER = re.compile(rf"[0-9A-Za-z\u00c0-\u024f\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]+|\S[{_MARKS}]*")
_KATAKANA = re.compile("[\u30a1-\u30fa\u30fc\u3099\u309a]+")


class Token(NamedTuple):
    """A word or punctuation mark: `text[start:end]`, and the form in which it is compared."""

    start: int
    end: int
    folded: str
    is_word: bool


def tokenise(text: str, language: str) -> list[Token]:
    """The tokens of `text`: words and punctuation marks, or characters in a language without spaces.

    White space is left out, and in languages with spaces hyphens too, so that "T-shirt" and "t shirt" are the
    same. Words in Latin letters and numbers stay whole in every language.
    """
    tokens: list[Token] = []
    for match in _pattern(language).finditer(text):
        surface = match.group()
        tokens.append(Token(match.start(), match.end(), folded(surface), is_word(surface)))
    return tokens


def surfaces(text: str, language: str) -> list[str]:
    """The tokens of `tokenise` as they are written, without their places, which take most of its time."""
    return _pattern(language).findall(text)


def is_word(surface: str) -> bool:
    """Whether a token is a word: a punctuation mark is none."""
    return surface[0].isalnum()


def _pattern(language: str) -> re.Pattern[str]:
    return _CHARACTER if language in WITHOUT_SPACES else _WORD


def folded(text: str) -> str:
    """`text` without differences of case, of Unicode width and of apostrophes."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'")


def katakana_words(tokens: Sequence[Token]) -> Iterator[range]:
    """The places of each run of katakana: a loan word, or several written as one."""
    start = 0
    for position, token in enumerate(tokens):
        if not _KATAKANA.fullmatch(token.folded):
            if start < position:
                yield range(start, position)
            start = position + 1
        elif start < position and tokens[position - 1].end != token.start:
            yield range(start, position)
            start = position
    if start < len(tokens):
        yield range(start, len(tokens))
