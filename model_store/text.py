"""Which texts the product accepts: one rule for training rows, requests and candidate files."""

from __future__ import annotations

import re

from model_store.errors import InputError

MAX_TEXT_CHARACTERS = 200_000
"""Longer texts are refused; shorter ones that exceed the token limit are truncated by the pair encoding."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKETPLACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def checked_text(value: str, *, field: str, source: str | None = None, row: int | None = None) -> str:
    """Return `value` without surrounding white space, or refuse it.

    Raises:
        InputError: empty or only white space, a NUL character, a lone surrogate (text that was decoded
            wrongly and cannot be written as UTF-8), or more than `MAX_TEXT_CHARACTERS` characters.
    """
    problem = text_problem(value)
    if problem:
        raise InputError(problem, source=source, row=row, field=field)
    return value.strip()


def checked_optional_text(value: str, *, field: str, source: str | None = None, row: int | None = None) -> str:
    """Like `checked_text`, but an empty text is fine and comes back as ""."""
    if not value.strip():
        return ""
    return checked_text(value, field=field, source=source, row=row)


def checked_marketplace(value: str, *, source: str | None = None, row: int | None = None) -> str:
    """Return a marketplace name that is safe in file names and cache keys.

    Raises:
        InputError: anything but 1 to 32 of a-z, 0-9, "_" and "-", starting with a letter or digit.
    """
    if not _MARKETPLACE.fullmatch(value):
        raise InputError(
            f"{value[:40]!r} is no marketplace name: use 1 to 32 of a-z, 0-9, '_' and '-', "
            "starting with a letter or digit",
            source=source,
            row=row,
            field="marketplace",
        )
    return value


def text_problem(value: str) -> str | None:
    """Why `checked_text` refuses the text; None if it does not."""
    if not value.strip():
        return "the text is empty or only white space"
    if "\x00" in value:
        return "the text contains a NUL character"
    if not value.isascii() and _SURROGATE.search(value):
        return "the text contains a lone surrogate: it was decoded with the wrong encoding"
    if len(value) > MAX_TEXT_CHARACTERS:
        return f"the text has {len(value)} characters; at most {MAX_TEXT_CHARACTERS} are accepted"
    return None
