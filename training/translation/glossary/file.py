"""Phrase tables read from a file: TSV, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from model_store.errors import InputError, TranslationError
from model_store.text import checked_optional_text, checked_text
from training.translation.base import pair_name

_DELIMITERS = {".tsv": "\t", ".csv": ","}
_TWO_COLUMNS = ["source", "target"]
_LANGUAGE = re.compile(r"[a-z]{2}")

_Row = tuple[int, str, str]
_JsonValue = None | bool | int | float | str | list["_JsonValue"] | dict[str, "_JsonValue"]


def read_phrases(path: Path, source: str, target: str) -> dict[str, str]:
    """The phrases of `source` in `path`, with their translations into `target`.

    Four forms are read, all UTF-8 (`.tsv` separates by tabs and knows no quotes, `.csv` by commas):

        source<TAB>target                              one language pair; the file does not say which
        en<TAB>es<TAB>ja                               many languages; an empty cell is a missing translation
        {"red dress": "vestido rojo"}                  one language pair
        [{"en": "red dress", "es": "vestido rojo"}]    many languages

    Raises:
        InputError: the file is missing, garbled or empty, or a phrase has two translations; the message
            names file and row.
        TranslationError: the file names languages, but not these two.
    """
    rows = _json_rows if path.suffix.lower() == ".json" else _table_rows
    phrases = _without_contradictions(rows(path, source, target), path)
    if not phrases:
        raise InputError(
            f"no phrase for {pair_name(source, target)}: a glossary needs at least one", source=str(path)
        )
    return phrases


def names_languages(path: Path) -> bool:
    """Whether the file says which languages it holds, and so may serve every pair of them.

    Raises:
        InputError: the file is missing or garbled.
    """
    if path.suffix.lower() == ".json":
        return isinstance(_parsed_json(path), list)
    return _table(path)[0] != _TWO_COLUMNS


def _content(path: Path) -> str:
    if path.suffix.lower() not in {*_DELIMITERS, ".json"}:
        raise InputError("a glossary is a .tsv, .csv or .json file, or a taxonomy's folder", source=str(path))
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"the glossary is not UTF-8 (byte {error.start}): save it with that encoding", source=str(path)
        ) from error
    except OSError as error:
        raise InputError(
            f"the glossary cannot be read ({error.strerror}): check the path", source=str(path)
        ) from error


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header in lower case, and the rows that are not empty with their numbers."""
    text = _content(path)
    delimiter = _DELIMITERS[path.suffix.lower()]
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    try:
        rows = [(row, cells) for row, cells in enumerate(reader, start=1) if any(map(str.strip, cells))]
    except csv.Error as error:
        raise InputError(
            f"the glossary cannot be read as a table ({error}): check its quotes",
            source=str(path),
            row=reader.line_num,
        ) from error
    if not rows:
        raise InputError("the glossary is empty: it needs a header and one phrase a row", source=str(path))
    header = [cell.strip().lower() for cell in rows[0][1]]
    _check_header(header, path)
    return header, rows[1:]


def _check_header(header: list[str], path: Path) -> None:
    languages = len(header) > 1 and all(map(_LANGUAGE.fullmatch, header)) and len(set(header)) == len(header)
    if header != _TWO_COLUMNS and not languages:
        raise InputError(
            f"the header is {header[:6]}: name the columns source and target, or one language code each, "
            "such as en and es",
            source=str(path),
            row=1,
        )


def _table_rows(path: Path, source: str, target: str) -> Iterator[_Row]:
    header, rows = _table(path)
    if header == _TWO_COLUMNS:
        columns, required = (0, 1), True
    else:
        _check_languages(header, source, target, path)
        columns, required = (header.index(source), header.index(target)), False
    for row, cells in rows:
        if len(cells) != len(header):
            raise InputError(
                f"{len(cells)} columns where the header has {len(header)}: check the separators",
                source=str(path),
                row=row,
            )
        check = checked_text if required else checked_optional_text
        phrase, translation = (
            check(cells[column], field=header[column], source=str(path), row=row) for column in columns
        )
        if phrase and translation:
            yield row, phrase, translation


def _json_rows(path: Path, source: str, target: str) -> Iterator[_Row]:
    value = _parsed_json(path)
    if isinstance(value, dict):
        for row, (phrase, translation) in enumerate(value.items(), start=1):
            yield (
                row,
                checked_text(phrase, field="source", source=str(path), row=row),
                checked_text(_string(translation, path, row), field="target", source=str(path), row=row),
            )
        return
    entries = [_entry(entry, path, row) for row, entry in enumerate(value, start=1)]
    _check_languages(sorted({language for entry in entries for language in entry}), source, target, path)
    for row, entry in enumerate(entries, start=1):
        phrase, translation = (
            checked_optional_text(entry.get(language, ""), field=language, source=str(path), row=row)
            for language in (source, target)
        )
        if phrase and translation:
            yield row, phrase, translation


def _parsed_json(path: Path) -> list[_JsonValue] | dict[str, _JsonValue]:
    try:
        value: _JsonValue = json.loads(_content(path), object_pairs_hook=partial(_object, path=path))
    except json.JSONDecodeError as error:
        raise InputError(
            f"the glossary is no JSON: {error.msg}; correct it", source=str(path), row=error.lineno
        ) from error
    except RecursionError as error:
        raise InputError("the glossary is no JSON: nested too deeply; correct it", source=str(path)) from error
    if not isinstance(value, list | dict):
        raise InputError(
            "the glossary is neither an object of phrases nor a list of objects by language", source=str(path)
        )
    return value


def _object(members: list[tuple[str, _JsonValue]], path: Path) -> dict[str, _JsonValue]:
    """A JSON object; the parser itself would keep the last of two values silently."""
    value: dict[str, _JsonValue] = {}
    for name, member in members:
        if value.setdefault(name, member) != member:
            raise InputError(f"{name[:60]!r} occurs twice with two values: keep one", source=str(path))
    return value


def _entry(value: _JsonValue, path: Path, row: int) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InputError(
            'each entry is an object by language, such as {"en": "red", "es": "rojo"}',
            source=str(path),
            row=row,
        )
    return {language: _string(text, path, row) for language, text in value.items()}


def _string(value: _JsonValue, path: Path, row: int) -> str:
    if not isinstance(value, str):
        raise InputError(f"{json.dumps(value)[:40]} is no text: write it in quotes", source=str(path), row=row)
    return value


def _check_languages(languages: list[str], source: str, target: str, path: Path) -> None:
    missing = [language for language in (source, target) if language not in languages]
    if missing:
        raise TranslationError(
            f"{path} has no phrases for {pair_name(source, target)}: it holds {', '.join(languages)}, "
            f"not {' or '.join(missing)}; add them or choose another translator for this pair"
        )


def _without_contradictions(rows: Iterable[_Row], path: Path) -> dict[str, str]:
    phrases: dict[str, str] = {}
    first: dict[str, tuple[int, str]] = {}
    for row, phrase, translation in rows:
        earlier_row, earlier = first.setdefault(phrase.casefold(), (row, translation))
        if earlier != translation:
            raise InputError(
                f"{phrase[:60]!r} is {translation[:60]!r} here and {earlier[:60]!r} in row {earlier_row}: "
                "keep one translation",
                source=str(path),
                row=row,
            )
        phrases.setdefault(phrase, translation)
    return phrases
