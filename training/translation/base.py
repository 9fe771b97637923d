"""What a translator is, the one that changes nothing, and the rules about texts that all translators share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from model_store.errors import ConfigurationError, TranslationError
from model_store.text import checked_optional_text


class IdentityTranslator:
    """Gives every text back: the older marketplace speaks the new one's language."""

    name = "identity"

    def __init__(self, language: str) -> None:
        self.source = self.target = checked_language(language)

    def translate(self, texts: Sequence[str]) -> list[str]:
        """The texts without surrounding white space."""
        return checked_texts(texts)


_LANGUAGE = re.compile(r"[a-z]{2}")
_COUNTRY_NOT_LANGUAGE = {
    "jp": "ja",
    "us": "en",
    "gb": "en",
    "cn": "zh",
    "mx": "es",
    "dk": "da",
    "cz": "cs",
}


class Translator(Protocol):
    """Turns texts of one language into another.

    `name` identifies the engine with its version or model: two translators of one name give the same
    translations, because translations are kept by it.
    """

    @property
    def name(self) -> str:
        """Engine and version or model, part of the key under which translations are kept."""

    @property
    def source(self) -> str:
        """ISO 639-1 code of the language translated from."""

    @property
    def target(self) -> str:
        """ISO 639-1 code of the language translated into."""

    def translate(self, texts: Sequence[str]) -> list[str]:
        """As many texts as given, in their order; a blank text gives an empty one.

        Raises:
            InputError: a text holds a NUL character or a lone surrogate, or is too long.
            TranslationError: the engine is missing or failed; the message names the language pair.
        """


def pair_name(source: str, target: str) -> str:
    """How messages and plans name a language pair: "en-es"."""
    return f"{source}-{target}"


def checked_language(code: str) -> str:
    """Return an ISO 639-1 code as it is.

    Raises:
        ConfigurationError: not two lower-case letters, or a country's code such as "jp".
    """
    if not _LANGUAGE.fullmatch(code):
        raise ConfigurationError(f"{code!r} is no language code: use ISO 639-1, such as 'en' or 'ja'")
    if code in _COUNTRY_NOT_LANGUAGE:
        raise ConfigurationError(
            f"{code!r} is a country's code: its language's ISO 639-1 code is {_COUNTRY_NOT_LANGUAGE[code]!r}"
        )
    return code


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts without surrounding white space, blank ones as "".

    Raises:
        InputError: a text that no file can hold (NUL, lone surrogate) or one too long; `row` is its
            1-based place in `texts`.
    """
    return [
        checked_optional_text(text, field="text", source="texts to translate", row=row)
        for row, text in enumerate(texts, start=1)
    ]


def translate_distinct(
    texts: Sequence[str], translator: Translator, engine: Callable[[list[str]], list[str]]
) -> list[str]:
    """Give `engine` every distinct text that is not blank once, and spread its answers over `texts`.

    Raises:
        InputError: see `checked_texts`.
        TranslationError: the engine gave another number of texts than it was asked for.
    """
    checked = checked_texts(texts)
    distinct = [text for text in dict.fromkeys(checked) if text]
    answers = engine(distinct) if distinct else []
    if len(answers) != len(distinct):
        raise TranslationError(
            f"{translator.name} answered {len(answers)} of {len(distinct)} texts for the pair "
            f"{pair_name(translator.source, translator.target)}: choose another translator for it"
        )
    translations = dict(zip(distinct, answers, strict=True))
    return [translations[text] if text else "" for text in checked]
