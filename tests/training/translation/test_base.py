from __future__ import annotations

import pytest

from model_store.errors import ConfigurationError, InputError, TranslationError
from tests.support.training.tiny_marian import CountingTranslator
from training.translation import IdentityTranslator
from training.translation.base import checked_language, checked_texts, translate_distinct


def test_answers_come_in_the_order_of_the_texts_and_blank_ones_stay_blank() -> None:
    translator = CountingTranslator()
    assert translator.translate(["b", "", "a", "   ", "b"]) == ["es:B", "", "es:A", "", "es:B"]


def test_the_engine_sees_each_distinct_text_once_and_never_a_blank_one() -> None:
    translator = CountingTranslator()
    translator.translate(["b", "", "a", " b "])
    assert translator.asked == ["b", "a"]


def test_no_text_asks_no_engine() -> None:
    translator = CountingTranslator()
    assert translator.translate([]) == []
    assert translator.translate(["", " "]) == ["", ""]
    assert translator.batches == []


def test_an_engine_that_loses_texts_is_reported_with_its_pair() -> None:
    with pytest.raises(TranslationError, match=r"counting answered 1 of 2 texts for the pair en-es"):
        translate_distinct(["a", "b"], CountingTranslator(), lambda texts: texts[:1])


@pytest.mark.parametrize("text", ["broken \udc80 text", "nul \x00"])
def test_a_text_that_cannot_be_written_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InputError, match="texts to translate, row 2"):
        checked_texts(["fine", text])


@pytest.mark.parametrize("code", ["EN", "eng", "", "e"])
def test_only_two_letter_codes_name_languages(code: str) -> None:
    with pytest.raises(ConfigurationError, match="ISO 639-1"):
        checked_language(code)


def test_a_country_code_is_answered_with_the_language_code() -> None:
    with pytest.raises(ConfigurationError, match="'ja'"):
        checked_language("jp")


def test_texts_stay_as_they_are() -> None:
    translator = IdentityTranslator("en")
    assert translator.translate(["red colour", "", " x "]) == ["red colour", "", "x"]
    assert (translator.source, translator.target) == ("en", "en")
