"""The one outer loop: any method learns a sequence of marketplaces and is measured after every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model_store.errors import ConfigurationError
from model_store.metrics import roc_auc
from training.configuration import TrainingConfiguration
from training.languages import language_of
from training.runs.marketplace_data import TEST, VALIDATION, EvaluationTokens, PairsOf, translated_rows
from training.runs.method import LearningMethod
from training.runs.replay_guard import lent_rows
from training.runs.steps import StepKeeper, StepResult
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows
from training.translation.plan import TranslationPlan

Report = Callable[[str], None]
ALL_TOGETHER = "all"
"""The one step of a joint method."""


@dataclass(slots=True)
class _Lesson:
    """What one step was taught with."""

    train_rows: int = 0
    translated_rows: dict[str, int] = field(default_factory=dict)
    translation_seconds: float = 0.0


class SequenceRun:
    """Teaches a method one marketplace after another, each with its own rows alone.

    The same call again resumes where an earlier one was interrupted: the method reads its finished stages back,
    and steps that the keeper knows are not measured again.

    Args:
        pairs_of: the labelled pairs of a marketplace's training, validation or test part.
        evaluation: the rows that are measured after every step.
        keeper: what becomes of a step's result.
        translations: folder where translations are kept by content.
        report: is given a line after each step.
    """

    def __init__(
        self,
        method: LearningMethod,
        pairs_of: PairsOf,
        evaluation: EvaluationTokens,
        keeper: StepKeeper,
        translations: Path,
        report: Report,
    ) -> None:
        self.method, self.evaluation = method, evaluation
        self._pairs_of, self._keeper, self._translations, self._report = pairs_of, keeper, translations, report
        self._test_logits: dict[str, np.ndarray] = {}

    def learn(self, sequence: Sequence[str]) -> list[StepResult]:
        """Learn the marketplaces in the order given, or, with a joint method, at once.

        Raises:
            ReplayError: the method kept rows of an older marketplace.
        """
        if self.method.is_joint:
            return [self._step(ALL_TOGETHER, lambda: self._learn_together(sequence))]
        return [self._step(name, lambda name=name: self._learn(name)) for name in sequence]  # type: ignore[misc]

    def test_logits(self) -> dict[str, np.ndarray]:
        """(N) float32 logits of every marketplace's test rows with the weights as they are."""
        if not self._test_logits:
            self._test_logits = self._logits(TEST)
        return self._test_logits

    def _step(self, marketplace: str, learn: Callable[[], _Lesson]) -> StepResult:
        number = len(self.method.marketplaces) + 1
        started = time.monotonic()
        lesson = learn()
        seconds = time.monotonic() - started
        self._test_logits = {}
        # Of several processes the main one measures and keeps; the others then find it kept.
        with self.method.accelerator.main_process_first():
            result = self._keeper.kept(number, marketplace) or self._measured(marketplace, lesson, seconds)
            summary = "  ".join(f"{name} {auc:.4f}" for name, auc in result.test_auc.items())
            self._report(f"learnt {marketplace} in {result.seconds:.1f} s: test ROC-AUC {summary}")
            self._keeper.keep(number, result)
        return result

    def _learn(self, marketplace: str) -> _Lesson:
        lesson, older = _Lesson(), list(self.method.marketplaces)
        with lent_rows(self.method.name) as lend:
            self.method.learn(lend(self._rows(marketplace, older, lesson)))
        return lesson

    def _learn_together(self, sequence: Sequence[str]) -> _Lesson:
        lesson = _Lesson()
        self.method.learn_together({name: self._rows(name, [], lesson) for name in sequence})
        return lesson

    def _rows(self, marketplace: str, older: Sequence[str], lesson: _Lesson) -> MarketplaceRows:
        pairs, tokenizer = self._pairs_of(marketplace, "train"), self.method.tokenizer
        started = time.monotonic()
        translated: dict[str, LabelledTokens] = {}
        if self.method.uses_translation:
            # The main process translates; the others then find the translations.
            with self.method.accelerator.main_process_first():
                translated = translated_rows(
                    pairs, older, self.method.configuration, tokenizer, self._translations
                )
        lesson.translation_seconds += time.monotonic() - started
        lesson.train_rows += len(pairs)
        lesson.translated_rows |= {name: len(data) for name, data in translated.items()}
        validation = self.evaluation.lent(marketplace, VALIDATION)
        if validation is None:
            validation = LabelledTokens.of(self._pairs_of(marketplace, VALIDATION), tokenizer)
        return MarketplaceRows(
            marketplace,
            train=LabelledTokens.of(pairs, tokenizer),
            validation=validation,
            translated=translated,
        )

    def _measured(self, marketplace: str, lesson: _Lesson, seconds: float) -> StepResult:
        stages = self.method.stages
        return StepResult(
            marketplace=marketplace,
            seconds=seconds,
            translation_seconds=lesson.translation_seconds,
            train_rows=lesson.train_rows,
            translated_rows=lesson.translated_rows,
            trainable_parameters=dict(self.method.trained_parts),
            stage_seconds={name: stage.seconds for name, stage in stages.items()},
            stage_steps={name: stage.steps for name, stage in stages.items()},
            best_epoch={name: stage.best_epoch for name, stage in stages.items()},
            validation_auc=self._areas(VALIDATION, self._logits(VALIDATION)),
            test_auc=self._areas(TEST, self.test_logits()),
        )

    def _logits(self, part: str) -> dict[str, np.ndarray]:
        return {name: self.method.logits_of(name, data) for name, data in self.evaluation.of(part).items()}

    def _areas(self, part: str, logits: Mapping[str, np.ndarray]) -> dict[str, float]:
        data = self.evaluation.of(part)
        return {name: roc_auc(data[name].labels, values) for name, values in logits.items()}


def check_translators(configuration: TrainingConfiguration, known: Sequence[str], new: Sequence[str]) -> None:
    """Refuse a sequence whose translators are missing, before any training starts.

    Raises:
        ConfigurationError: a marketplace is named twice or known already.
        TranslationError: a language pair has no translator.
    """
    sequence = [*known, *new]
    if len(set(sequence)) != len(sequence):
        raise ConfigurationError(f"a marketplace is learnt twice in the sequence {', '.join(sequence)}")
    languages = [language_of(name, configuration.languages) for name in sequence]
    TranslationPlan.parse(configuration.translation).check(_language_pairs(languages, len(known)))


def _language_pairs(languages: Sequence[str], known: int) -> Iterable[tuple[str, str]]:
    for place in range(known, len(languages)):
        for older in languages[:place]:
            yield languages[place], older
