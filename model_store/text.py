"""Which texts the product accepts: one rule for training rows, requests and candidate files."""

from __future__ import annotations

import re
from collections.abc import Iterable

from model_store.errors import InputError

MAX_TEXT_CHARACTERS = 200_000
"""Longer texts are refused; shorter ones that exceed the token limit are truncated by the pair encoding."""

DEFAULT_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters that Unicode calls default ignorable: they are not shown, and mean nothing in a query."""

has_surrogate = re.compile("[\ud800-\udfff]").search
"""The first lone surrogate of a text: it was decoded wrongly, and cannot be written as UTF-8."""

VISIBLE = re.compile(rf"[^\s{DEFAULT_IGNORABLE.pattern[1:-1]}]")
"""A character that is neither white space nor default ignorable; a text without one is blank."""
_MARKETPLACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def checked_text(value: str, *, field: str, source: str | None = None, row: int | None = None) -> str:
    """Return `value` without surrounding white space, or refuse it.

    Raises:
        InputError: empty or of white space and invisible characters alone, a NUL character, a lone surrogate
            (text that was decoded wrongly and cannot be written as UTF-8), or more than `MAX_TEXT_CHARACTERS`
            characters.
    """
    problem = text_problem(value)
    if problem:
        raise InputError(problem, source=source, row=row, field=field)
    return value.strip()


def checked_optional_text(value: str, *, field: str, source: str | None = None, row: int | None = None) -> str:
    """Like `checked_text`, but a text in which nothing is visible is fine and comes back as ""."""
    if is_blank(value):
        return ""
    return checked_text(value, field=field, source=source, row=row)


def checked_marketplace(value: str, *, source: str | None = None, row: int | None = None) -> str:
    """Return a marketplace's name as it stands in file names and cache keys: `US` is `us`, as is ` us `.

    Raises:
        InputError: anything but 1 to 32 letters (a to z), digits, "_" and "-", starting with a letter or digit.
    """
    name = value.strip().lower()
    # Some letters beyond ASCII have a small form within it: the Kelvin sign is no k.
    if not (_MARKETPLACE.fullmatch(name) and value.isascii()):
        raise InputError(
            f"{value[:40]!r} is no marketplace name: use 1 to 32 of a-z, 0-9, '_' and '-', "
            "starting with a letter or digit",
            source=source,
            row=row,
            field="marketplace",
        )
    return name


def joined_texts(texts: Iterable[str]) -> str:
    """A list of texts, as bullet points are, in one: with a space between, blank ones left out."""
    return " ".join(text for text in map(str.strip, texts) if text)


def is_blank(value: str) -> bool:
    """Whether nothing of the text is visible: it has white space and what is default ignorable alone."""
    return VISIBLE.search(value) is None


def text_problem(value: str) -> str | None:
    """Why `checked_text` refuses the text; None if it does not."""
    if is_blank(value):
        return "the text is empty or only white space and invisible characters"
    if "\x00" in value:
        return "the text contains a NUL character"
    if not value.isascii() and has_surrogate(value):
        return "the text contains a lone surrogate: it was decoded with the wrong encoding"
    if len(value) > MAX_TEXT_CHARACTERS:
        return f"the text has {len(value)} characters; at most {MAX_TEXT_CHARACTERS} are accepted"
    return None
