"""Letter case of a translated phrase: as the text wrote the phrase, not as the table does."""

from __future__ import annotations

import re

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
