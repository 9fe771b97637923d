from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from model_store.errors import InputError, TranslationError
from tests.support.training.real_data import real_data
from training.translation import GlossaryTranslator

PHRASES = {
    "Running Shoes": "Zapatillas de running",
    "Shoes": "Zapatos",
    "Red": "Rojo",
    "LED Lamp": "Lámpara LED",
    "T-shirt": "Camiseta",
}


@pytest.fixture
def glossary() -> GlossaryTranslator:
    return GlossaryTranslator(PHRASES, "en", "es")


@pytest.fixture(scope="module")
def taxonomy() -> Path:
    return real_data("shopify_taxonomy")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red running shoes size 7", "rojo zapatillas de running size 7"),
        ("shoes", "zapatos"),
        ("Red Shoes", "Rojo Zapatos"),
        ("RED led lamp!", "Rojo lámpara LED!"),
        ("t shirt  t-shirt T-SHIRT", "camiseta  camiseta CAMISETA"),
        ("Ｒｅｄ,shoes", "Rojo,zapatos"),
        ("red, running and shoes", "rojo, running and zapatos"),
        ("reddish snowshoes", "reddish snowshoes"),
        ("unknown  words — here", "unknown  words — here"),
        ("", ""),
    ],
)
def test_the_longest_phrases_are_replaced_and_the_rest_stays(
    glossary: GlossaryTranslator, text: str, expected: str
) -> None:
    assert glossary.translate([text]) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ワイヤレスイヤホン 赤い", "Wireless Earphones 赤い"),
        ("ﾜｲﾔﾚｽｲﾔﾎﾝ", "Wireless Earphones"),
        ("Sony製イヤホン2個", "Sony製 Earphones 2個"),
        ("イヤホンケース", "イヤホンケース"),
        ("赤ちゃん用品", "Baby 用品"),
    ],
)
def test_japanese_matches_on_characters_but_tears_no_katakana_word(text: str, expected: str) -> None:
    phrases = {
        "ワイヤレス": "Wireless",
        "イヤホン": "Earphones",
        "赤": "Red",
        "赤ちゃん": "Baby",
        "赤い": "赤い",
    }
    assert GlossaryTranslator(phrases, "ja", "en").translate([text]) == [expected]


def test_chinese_becomes_japanese_without_spaces_between() -> None:
    phrases = {"红色": "赤", "连衣裙": "ドレス"}
    assert GlossaryTranslator(phrases, "zh", "ja").translate(["红色连衣裙"]) == ["赤ドレス"]


def test_coverage_is_the_share_of_words_that_were_replaced(glossary: GlossaryTranslator) -> None:
    assert glossary.coverage(["red running shoes, big", ""]) == pytest.approx(3 / 4)
    assert glossary.coverage(["nothing known"]) == 0.0
    assert glossary.coverage([]) == 0.0


def test_the_name_changes_with_the_phrases() -> None:
    name = GlossaryTranslator(PHRASES, "en", "es").name
    assert GlossaryTranslator(dict(PHRASES), "en", "es").name == name
    assert GlossaryTranslator({**PHRASES, "Blue": "Azul"}, "en", "es").name != name


def test_of_two_phrases_that_differ_in_case_the_first_counts() -> None:
    assert GlossaryTranslator({"Red": "Rojo", "red": "colorado"}, "en", "es").translate(["red"]) == ["rojo"]


@pytest.mark.parametrize("phrases", [{}, {"...": "x"}, {"red": "  "}])
def test_a_glossary_without_phrases_is_refused(phrases: dict[str, str]) -> None:
    with pytest.raises(TranslationError, match=r"for en-es has no phrase"):
        GlossaryTranslator(phrases, "en", "es")


def test_a_lone_surrogate_is_refused(glossary: GlossaryTranslator) -> None:
    with pytest.raises(InputError, match=r"row 1.*lone surrogate"):
        glossary.translate(["red \udfff"])


def test_a_file_becomes_a_translator(tmp_path: Path) -> None:
    path = tmp_path / "g.tsv"
    path.write_text("en\tes\nred\trojo\n")
    assert GlossaryTranslator.from_path(path, "en", "es").translate(["red dress"]) == ["rojo dress"]


def test_tens_of_thousands_of_phrases_and_texts_take_seconds() -> None:
    generator = random.Random(0)
    words = [f"word{number}" for number in range(3000)]
    phrases = {
        " ".join(generator.choices(words, k=generator.randint(1, 6))): f"phrase {number}"
        for number in range(30_000)
    }
    texts = [" ".join(generator.choices(words, k=12)) for _ in range(20_000)]
    start = time.monotonic()
    translations = GlossaryTranslator(phrases, "en", "es").translate(texts)
    assert time.monotonic() - start < 20
    assert sum("phrase" in translation for translation in translations) > 15_000


def test_a_taxonomy_translates_what_shops_sell(taxonomy: Path) -> None:
    glossary = GlossaryTranslator.from_path(taxonomy, "en", "es")
    assert glossary.translate(["black running shoes"])[0].startswith("negro ")
    assert glossary.coverage(["red cotton dress", "blue ceramic vase"]) > 0.8


def test_a_taxonomy_without_the_language_says_which_it_has(taxonomy: Path) -> None:
    with pytest.raises(InputError, match="en"):
        GlossaryTranslator.from_path(taxonomy, "en", "sw")
