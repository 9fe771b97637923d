"""Labelled pairs in another language: what the translation stage hands to the fusion stage."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from model_store.errors import ConfigurationError
from model_store.text import checked_marketplace
from training.data.pairs import RelevancePair
from training.translation.base import Translator

DEFAULT_SHARE = 0.3
"""Share of the new marketplace's pairs that is translated back into every older language."""


def translate_pairs(
    pairs: Sequence[RelevancePair], translator: Translator, marketplace: str
) -> list[RelevancePair]:
    """The same judgements in the older marketplace's language.

    Query, title, colour, bullet points and description are translated, each distinct text once; a brand is a
    name and stays. Label and product id stay. A text that the translator leaves blank stays as it was: a pair
    without a query or title could not be trained on.

    Args:
        pairs: judged pairs in the translator's source language.
        translator: into the older marketplace's language.
        marketplace: the older marketplace's name.

    Raises:
        InputError: a text that cannot be translated, or no marketplace name.
        TranslationError: the translator failed.
    """
    marketplace = checked_marketplace(marketplace)
    texts = list(dict.fromkeys(text for pair in pairs for text in _texts(pair) if text))
    answers = translator.translate(texts)
    translations = {text: answer or text for text, answer in zip(texts, answers, strict=True)}
    return [_translated(pair, translations, marketplace) for pair in pairs]


def sample_for_translation(
    pairs: Sequence[RelevancePair], share: float = DEFAULT_SHARE, seed: int = 0
) -> list[RelevancePair]:
    """A random part of `pairs`, drawn by row within each label, in the order in which they came.

    Args:
        pairs: the new marketplace's training pairs.
        share: part of every label's rows, above 0 and at most 1; every label gives at least one row.
        seed: the same seed draws the same rows.

    Raises:
        ConfigurationError: `share` is out of range.
    """
    if not 0.0 < share <= 1.0:
        raise ConfigurationError(f"the share to translate is {share}: it must be above 0 and at most 1")
    generator = random.Random(seed)
    rows_by_label: defaultdict[int, list[int]] = defaultdict(list)
    for row, pair in enumerate(pairs):
        rows_by_label[pair.label].append(row)
    drawn = [
        row
        for _, rows in sorted(rows_by_label.items())
        for row in generator.sample(rows, max(1, round(share * len(rows))))
    ]
    return [pairs[row] for row in sorted(drawn)]


def _texts(pair: RelevancePair) -> tuple[str, ...]:
    return (
        pair.query,
        pair.product_title,
        pair.product_color,
        pair.product_bullet_points,
        pair.product_description,
    )


def _translated(pair: RelevancePair, translations: dict[str, str], marketplace: str) -> RelevancePair:
    query, title, color, bullet_points, description = (translations.get(text, "") for text in _texts(pair))
    product = replace(
        pair.product, title=title, color=color, bullet_points=bullet_points, description=description
    )
    return pair.with_texts(query, product, marketplace)
