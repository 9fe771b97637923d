"""Reads the lexicon's tables: tab separated, one concept a row, one language a column.

A cell holds words separated by "|", the name first. A word may have four forms separated by "/" (agreement)
and end in "@" and its gender: "rojo/roja/rojos/rojas", "zapatillas@fp".
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from types import MappingProxyType

from model_store.errors import InputError
from training.data.catalogue.words import DEFAULT_GENDER, GENDERS, LANGUAGES, Entry, Kind, Word

Row = dict[str, str]


def lexicon_text(name: str) -> str:
    """The text of a file of the bundled lexicon."""
    return (files("training.data.catalogue") / "lexicon" / name).read_text(encoding="utf-8")


def read_rows(name: str) -> Iterator[tuple[int, Row]]:
    """Rows of a table by column name, with their 1-based line number.

    Raises:
        InputError: a row has another number of fields than the header.
    """
    lines = lexicon_text(name).splitlines()
    header = lines[0].split("\t")
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split("\t")
        if len(fields) != len(header):
            raise InputError(
                f"{len(fields)} fields where the header has {len(header)}: separate them with one tab each",
                source=name,
                row=number,
            )
        yield number, dict(zip(header, fields, strict=True))


def entry_of(row: Row, key: str, kind: Kind, source: str, number: int) -> Entry:
    """The entry that a row describes in all languages.

    Raises:
        InputError: a language is missing, or a word has a wrong number of forms or an unknown gender.
    """
    words = {
        language: tuple(_word(text, language, source, number) for text in row[language].split("|"))
        for language in LANGUAGES
    }
    return Entry(key, kind, MappingProxyType(words))


def _word(text: str, language: str, source: str, number: int) -> Word:
    stem, _, gender = text.partition("@")
    forms = tuple(stem.split("/"))
    genders = GENDERS.get(language, (DEFAULT_GENDER,))
    if not all(forms) or len(forms) not in (1, len(genders)):
        raise InputError(
            f"{text!r} has {len(forms)} forms, some of them perhaps empty: give 1 or {len(genders)}",
            source=source,
            row=number,
            field=language,
        )
    if gender and gender not in genders:
        raise InputError(
            f"{gender!r} is no gender of this language: use one of {', '.join(genders)}",
            source=source,
            row=number,
            field=language,
        )
    return Word(forms, gender or DEFAULT_GENDER)
