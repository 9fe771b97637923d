"""Words of a text with their places in it, as the glossary matches them."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

WITHOUT_SPACES = frozenset({"ja", "zh", "th"})
"""Languages that put no spaces between words: their single characters are tokens."""

_LAST_COMBINING_MARK = 0x3100
"""Code points from here on need no class of marks: they are letters of scripts without combining marks."""

_MARKS = (
    "".join(
        chr(code) for code in range(0x300, _LAST_COMBINING_MARK) if unicodedata.category(chr(code))[0] == "M"
    )
    + "\uff9e\uff9f"
)
# Python's \w leaves combining marks out, and Hindi, Thai or decomposed accents would fall to pieces.
_WORD = re.compile(rf"\w[\w{_MARKS}]*|[^\s\w\-]")
_CHARACTER = re.compile(rf"[0-9A-Za-z\u00c0-\u024f\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]+|\S[{_MARKS}]*")


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
    pattern = _CHARACTER if language in WITHOUT_SPACES else _WORD
    tokens: list[Token] = []
    for match in pattern.finditer(text):
        surface = match.group()
        tokens.append(Token(match.start(), match.end(), folded(surface), surface[0].isalnum()))
    return tokens


def folded(text: str) -> str:
    """`text` without differences of case and of Unicode width."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
