from __future__ import annotations

import pytest

from training.translation.glossary.tokens import folded, in_the_case_of, katakana_words, surfaces, tokenise


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("Red T-shirt, size M", "en", ["red", "t", "shirt", ",", "size", "m"]),
        ("women’s WOMEN'S shoes", "en", ["women's", "women's", "shoes"]),
        ("bouteille d'eau", "fr", ["bouteille", "d", "'", "eau"]),
        ("Cafe\u0301 Größe", "de", ["café", "grösse"]),
        ("लाल कमीज", "hi", ["लाल", "कमीज"]),
        ("ＵＳＢ ｹｰﾌﾞﾙ2m", "ja", ["usb", "ケ", "ー", "ブ", "ル", "2m"]),
        ("赤い 靴", "ja", ["赤", "い", "靴"]),
        ("红色连衣裙", "zh", ["红", "色", "连", "衣", "裙"]),
        ("รองเท้า", "th", ["ร", "อ", "ง", "เ", "ท้", "า"]),
        ("   ", "en", []),
    ],
)
def test_words_or_characters_are_compared_without_case_and_width(
    text: str, language: str, words: list[str]
) -> None:
    assert [token.folded for token in tokenise(text, language)] == words
    assert [folded(surface) for surface in surfaces(text, language)] == words


def test_places_point_into_the_text_as_it_was_written() -> None:
    text = "ＵＳＢ Cafe\u0301-bar!"
    assert [text[token.start : token.end] for token in tokenise(text, "en")] == [
        "ＵＳＢ",
        "Cafe\u0301",
        "bar",
        "!",
    ]


def test_punctuation_is_no_word() -> None:
    assert [token.is_word for token in tokenise("red, 5 €", "en")] == [True, False, True, False]


def test_katakana_words_end_at_other_letters_and_at_spaces() -> None:
    tokens = tokenise("赤ケース カバーと靴クツ", "ja")
    words = ["".join(tokens[place].folded for place in word) for word in katakana_words(tokens)]
    assert words == ["ケース", "カバー", "クツ"]


@pytest.mark.parametrize(
    ("matched", "translation", "target", "expected"),
    [
        ("running shoes", "Zapatillas de Running", "es", "zapatillas de running"),
        ("Running shoes", "zapatillas de running", "es", "Zapatillas de running"),
        ("RUNNING SHOES", "Zapatillas de running", "es", "ZAPATILLAS DE RUNNING"),
        ("led lamp", "Lámpara LED", "es", "lámpara LED"),
        ("TV", "Televisor", "es", "Televisor"),
        ("Phone", "iPhone", "es", "iPhone"),
        ("dog", "Hund", "de", "Hund"),
        ("靴", "shoes", "en", "shoes"),
        ("shoes", "靴", "ja", "靴"),
        ("4K", "4K", "es", "4K"),
    ],
)
def test_a_translation_is_written_as_the_text_is(
    matched: str, translation: str, target: str, expected: str
) -> None:
    assert in_the_case_of(matched, translation, target) == expected
