"""A marketplace's rows as a run uses them: checked, split, tokenized, translated for older marketplaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model_store.encoding.tokens import PairTokenizer
from training.configuration import TrainingConfiguration
from training.data.pairs import RelevancePair
from training.data.splits import Splits, check_trainable, split_by_query
from training.languages import language_of
from training.runs.method import LearningMethod
from training.stages.labelled_tokens import LabelledTokens
from training.translation.cache import CachedTranslator, TranslationCache
from training.translation.pairs import sample_for_translation, translate_pairs
from training.translation.plan import TranslationPlan

VALIDATION, TEST = "validation", "test"

PairsOf = Callable[[str, str], Sequence[RelevancePair]]
"""The pairs of a marketplace's "train", "validation" or "test" part."""


def checked_splits(
    data: Mapping[str, Sequence[RelevancePair]], configuration: TrainingConfiguration, source: str
) -> dict[str, Splits]:
    """Split every marketplace by query, and refuse what cannot be trained on before any time is spent.

    Raises:
        InputError: an empty marketplace, one class only, or too few rows for a ROC-AUC; named.
    """
    splits = {}
    for marketplace, pairs in data.items():
        splits[marketplace] = split_by_query(
            pairs,
            seed=configuration.seed,
            validation_fraction=configuration.validation_share,
            test_fraction=configuration.test_share,
        )
        check_trainable(splits[marketplace], marketplace, source)
    return splits


@dataclass(frozen=True, slots=True)
class EvaluationTokens:
    """The rows that are scored after every step, tokenized once, by part and marketplace."""

    parts: Mapping[str, Mapping[str, LabelledTokens]]

    @classmethod
    def tokenized(
        cls, pairs_of: PairsOf, marketplaces: Sequence[str], parts: Sequence[str], tokenizer: PairTokenizer
    ) -> EvaluationTokens:
        """The given parts of all marketplaces."""
        return cls(
            {
                part: {name: LabelledTokens.of(pairs_of(name, part), tokenizer) for name in marketplaces}
                for part in parts
            }
        )

    def frozen(self, method: LearningMethod) -> EvaluationTokens:
        """The same rows with what no step of the method changes computed once: every step is faster.

        Logits then differ in the last digits from those of a loaded version, since texts stand in other batches.
        """
        names = [(part, name) for part, sets in self.parts.items() for name in sets]
        rows = dict(zip(names, method.frozen(*(self.parts[part][name] for part, name in names)), strict=True))
        return EvaluationTokens(
            {part: {name: rows[part, name] for name in sets} for part, sets in self.parts.items()}
        )

    def of(self, part: str) -> Mapping[str, LabelledTokens]:
        """The rows of a part by marketplace; empty for one that is not measured."""
        return self.parts.get(part, {})

    def lent(self, marketplace: str, part: str) -> LabelledTokens | None:
        """Rows to hand to a method for one step: an object of their own, so that it shows whether it keeps them.

        None where the part is not measured.
        """
        rows = self.of(part).get(marketplace)
        if rows is None:
            return None
        tokenized = replace(
            rows.tokenized,
            query_index=rows.tokenized.query_index.copy(),
            product_index=rows.tokenized.product_index.copy(),
        )
        return replace(rows, tokenized=tokenized, labels=rows.labels.copy(), lengths=rows.lengths.copy())


def translated_rows(
    train: Sequence[RelevancePair],
    older: Sequence[str],
    configuration: TrainingConfiguration,
    tokenizer: PairTokenizer,
    cache_folder: Path,
) -> dict[str, LabelledTokens]:
    """The configured share of a marketplace's training rows, translated and tokenized, by older marketplace.

    Marketplaces whose language the configuration's translation plan leaves out are left out.

    Args:
        cache_folder: where translations are kept by content, so that a second run translates nothing.

    Raises:
        TranslationError: a translation failed.
    """
    plan = TranslationPlan.parse(configuration.translation)
    new = language_of(train[0].marketplace, configuration.languages)
    targets = {name: language_of(name, configuration.languages) for name in older}
    sample = sample_for_translation(train, configuration.translated_share, configuration.seed)
    translated = {}
    with TranslationCache(cache_folder) as cache:
        for name, target in targets.items():
            if plan.translates(new, target):
                translator = CachedTranslator(plan.translator(new, target), cache)
                translated[name] = LabelledTokens.of(translate_pairs(sample, translator, name), tokenizer)
    return translated
