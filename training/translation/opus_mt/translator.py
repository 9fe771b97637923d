"""OPUS-MT (Helsinki-NLP; Tiedemann and Thottingal 2020): Marian models run by transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

from training.translation.base import checked_language, pair_name, translate_distinct
from training.translation.opus_mt.models import find_marian_files

DEFAULT_BATCH_SIZE = 32
DEFAULT_BEAMS = 4
MAX_TOKENS = 256
"""Longer texts are cut: product titles are far shorter, and Marian models were trained on sentences."""

OpusMtEngine = Literal["transformers", "ctranslate2"]


class MarianEngine(Protocol):
    """Runs a loaded Marian model."""

    def translate_batch(self, texts: Sequence[str]) -> list[str]:
        """Translations of one batch of texts, in its order."""


class OpusMtTranslator:
    """One language pair's Marian model, looked for when it is made and loaded when it is first used.

    Args:
        source: ISO 639-1 code.
        target: ISO 639-1 code.
        model: a local folder, a hub id with an optional `@revision`, or a mapping from pairs ("en-ja") to
            such; by default `Helsinki-NLP/opus-mt-{source}-{target}`, with the exceptions in
            `opus_mt_models.EXCEPTIONS`.
        engine: `ctranslate2` is faster and takes a folder that CTranslate2 converted, with the tokenizer's
            files copied into it.
        batch_size: texts a batch; texts of similar length share one.
        beams: width of the beam search, the same in both engines; 1 is greedy and fastest.

    Raises:
        ConfigurationError: no language code, or the chosen engine's package is not installed.
        TranslationError: the model cannot be found; the message names the pair and what to do.
    """

    def __init__(
        self,
        source: str,
        target: str,
        *,
        model: str | Path | Mapping[str, str] | None = None,
        engine: OpusMtEngine = "transformers",
        batch_size: int = DEFAULT_BATCH_SIZE,
        beams: int = DEFAULT_BEAMS,
    ) -> None:
        self.source = checked_language(source)
        self.target = checked_language(target)
        if engine == "ctranslate2":
            from training.translation.opus_mt.ctranslate2_engine import check_installed

            check_installed(pair_name(source, target))
        chosen = model.get(pair_name(source, target)) if isinstance(model, Mapping) else model
        self._files = find_marian_files(source, target, chosen, converted=engine == "ctranslate2")
        self._engine_name = engine
        self._batch_size = batch_size
        self._beams = beams
        self.name = f"opus_mt {engine} {self._files.identity} beams {beams}"

    def translate(self, texts: Sequence[str]) -> list[str]:
        """As `Translator.translate`, in batches of texts of similar length."""
        return translate_distinct(texts, self, self._translate_distinct)

    def _translate_distinct(self, texts: list[str]) -> list[str]:
        # Longest first: a batch too large for the memory fails at once, not after hours.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]), reverse=True)
        translations = [""] * len(texts)
        for start in range(0, len(order), self._batch_size):
            places = order[start : start + self._batch_size]
            answers = self._engine.translate_batch([self._files.prefix + texts[place] for place in places])
            for place, answer in zip(places, answers, strict=True):
                translations[place] = answer.strip()
        return translations

    @cached_property
    def _engine(self) -> MarianEngine:
        folder = self._files.folder()
        if self._engine_name == "ctranslate2":
            from training.translation.opus_mt.ctranslate2_engine import CTranslate2Engine

            return CTranslate2Engine(folder, pair_name(self.source, self.target), MAX_TOKENS, self._beams)
        from training.translation.opus_mt.transformers_engine import TransformersEngine

        return TransformersEngine(folder, pair_name(self.source, self.target), MAX_TOKENS, self._beams)
