"""The translation stage: new training rows in the languages of the older marketplaces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model_store.encoding.tokens import PairTokenizer
from training.configuration import TrainingConfiguration
from training.data.pairs import RelevancePair
from training.languages import language_of
from training.stages.labelled_tokens import LabelledTokens
from training.translation.cache import CachedTranslator, TranslationCache
from training.translation.pairs import sample_for_translation, translate_pairs
from training.translation.plan import TranslationPlan


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
