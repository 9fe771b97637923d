"""Translators behind one interface, with an on-disk cache by content."""

from training.translation.base import IdentityTranslator, Translator
from training.translation.cache import CachedTranslator, TranslationCache
from training.translation.fast_translate import FastTranslateTranslator
from training.translation.glossary.translator import GlossaryTranslator
from training.translation.opus_mt.translator import OpusMtTranslator
from training.translation.pairs import sample_for_translation, translate_pairs
from training.translation.plan import TranslationPlan

__all__ = [
    "CachedTranslator",
    "FastTranslateTranslator",
    "GlossaryTranslator",
    "IdentityTranslator",
    "OpusMtTranslator",
    "TranslationCache",
    "TranslationPlan",
    "Translator",
    "sample_for_translation",
    "translate_pairs",
]
