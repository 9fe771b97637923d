"""What goes wrong when people type, and when people judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from random import Random

from model_store.errors import ConfigurationError
from training.data.catalogue.words import without_accents

_KATAKANA = range(0x30A1, 0x30F7)
_TO_HIRAGANA = {code: code - 0x60 for code in _KATAKANA}
_LONG_VOWEL = "ー"
_SHORTEST_WORD = 4


@dataclass(frozen=True, slots=True)
class Noise:
    """How often something goes wrong, each a probability.

    `typos`: a query has one swapped, dropped or doubled character. `accents`: a query is typed without
    accents. `kana`: a Japanese query has a long vowel left out or katakana typed as hiragana. `shuffled`: the
    words of a query are in any order. `labels`: a 0/1 label is the wrong one (the ESCI judgement stays right).

    Raises:
        ConfigurationError: a value outside [0, 1].
    """

    typos: float = 0.1
    accents: float = 0.3
    kana: float = 0.12
    shuffled: float = 0.15
    labels: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0.0 <= (value := getattr(self, field.name)) <= 1.0:
                raise ConfigurationError(
                    f"noise: {field.name}={value} is no probability; give a number from 0 to 1"
                )


NO_NOISE = Noise(typos=0.0, accents=0.0, kana=0.0, shuffled=0.0)


def noisy_query(text: str, language: str, noise: Noise, random: Random) -> str:
    """The query as it was typed."""
    if language == "ja" and random.random() < noise.kana:
        text = _other_kana(text, random)
    if language != "ja" and random.random() < noise.accents:
        text = without_accents(text)
    return _with_typo(text, random) if random.random() < noise.typos else text


def _other_kana(text: str, random: Random) -> str:
    if _LONG_VOWEL in text and random.random() < 0.5:
        return text.replace(_LONG_VOWEL, "", 1)
    return text.translate(_TO_HIRAGANA)


def _with_typo(text: str, random: Random) -> str:
    words = text.split(" ")
    long_words = [place for place, word in enumerate(words) if _may_be_mistyped(word)]
    if not long_words:
        return text
    place = random.choice(long_words)
    word = words[place]
    at = random.randrange(1, len(word) - 1)
    typo: Callable[[str, int], str] = random.choice((_swapped, _dropped, _doubled))
    return " ".join([*words[:place], typo(word, at), *words[place + 1 :]])


def _may_be_mistyped(word: str) -> bool:
    """Not a short word, and not a number: that would ask for something else."""
    return len(word) >= _SHORTEST_WORD and not any(character.isdigit() for character in word)


def _swapped(word: str, at: int) -> str:
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _dropped(word: str, at: int) -> str:
    return word[:at] + word[at + 1 :]


def _doubled(word: str, at: int) -> str:
    return word[:at] + word[at] + word[at:]
