from __future__ import annotations

import re
from itertools import permutations

import pytest

from model_store.errors import ConfigurationError, TranslationError
from training.data.catalogue import MARKETPLACES, NO_NOISE, generate_pairs
from training.data.catalogue.generator import draw_judged
from training.data.catalogue.lexicon import load_lexicon
from training.data.catalogue.marketplaces import marketplace_named
from training.data.catalogue.wording import Piece
from training.data.catalogue.words import DEFAULT_GENDER, LANGUAGES
from training.translation.base import Translator
from training.translation.catalogue import CatalogueTranslator

PAIRS = list(permutations(LANGUAGES, 2))


def _translated_pieces(pieces: tuple[Piece, ...], source: str, target: str) -> list[str]:
    """What a query's pieces are in another language, looked up one by one."""
    places = [
        next(
            place
            for place, word in enumerate(piece.entry.words[source])
            if piece.text.casefold() in (form.casefold() for form in word.forms)
        )
        if piece.entry
        else 0
        for piece in pieces
    ]
    gender = next(
        (
            piece.entry.word(target, place).gender
            for piece, place in zip(pieces, places, strict=True)
            if piece.entry and piece.entry.is_noun
        ),
        DEFAULT_GENDER,
    )
    return [
        piece.entry.word(target, place).agreeing(target, gender) if piece.entry else piece.text
        for piece, place in zip(pieces, places, strict=True)
    ]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_names_of_products_survive_a_round_trip(source: str, target: str) -> None:
    names = [item.entry.name(source) for item in load_lexicon().items.values()]
    there = CatalogueTranslator(source, target).translate(names)
    back = CatalogueTranslator(target, source).translate(there)
    assert [name.casefold() for name in back] == [name.casefold() for name in names]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_name_becomes_the_name_in_the_other_language(source: str, target: str) -> None:
    entries = load_lexicon().entries
    translated = CatalogueTranslator(source, target).translate([entry.name(source) for entry in entries])
    assert [text.casefold() for text in translated] == [entry.name(target).casefold() for entry in entries]


@pytest.mark.parametrize("marketplace", MARKETPLACES)
def test_queries_without_noise_are_translated_exactly(marketplace: str) -> None:
    source = marketplace_named(marketplace).language
    judged = draw_judged(marketplace, 400, 0, NO_NOISE)
    for target in (language for language in LANGUAGES if language != source):
        translated = CatalogueTranslator(source, target).translate([one.pair.query for one in judged])
        for one, text in zip(judged, translated, strict=True):
            expected = " ".join(_translated_pieces(one.query_pieces, source, target))
            assert text.casefold() == expected.casefold()


@pytest.mark.parametrize(
    ("marketplace", "leftover"), [("jp", r"[\u3041-\u30ff\u4e00-\u9fff]"), ("ru", r"[а-яё]")]
)
def test_nothing_of_the_source_s_script_is_left_but_brands(marketplace: str, leftover: str) -> None:
    profile = marketplace_named(marketplace)
    own = {name.lower() for brand, (_, *lines) in profile.house_brands.items() for name in (brand, *lines)}
    titles = [pair.product_title for pair in generate_pairs(marketplace, 300, 0)]
    translated = CatalogueTranslator(profile.language, "en").translate(titles)
    for text in translated:
        rest = text.lower()
        for name in sorted(own, key=len, reverse=True):
            rest = rest.replace(name, "")
        assert not re.search(leftover, rest), text


def test_adjectives_agree_and_brands_and_codes_stay() -> None:
    english = CatalogueTranslator("en", "es")
    assert english.translate(["red house slippers"]) == ["rojas pantuflas"]
    assert english.translate(["Velmora Black T-Shirt KX-240"]) == ["Velmora Negra Camiseta KX-240"]


def test_slang_becomes_slang_where_the_other_language_has_some() -> None:
    assert CatalogueTranslator("de", "ja").translate(["Handy"]) == ["スマホ"]
    assert CatalogueTranslator("de", "pt").translate(["handy schwarz"]) == ["celular preto"]


def test_unknown_words_and_typos_stay() -> None:
    assert CatalogueTranslator("en", "de").translate(["blakc frying pan xyz"]) == ["blakc bratpfanne xyz"]


def test_missing_accents_are_forgiven() -> None:
    assert CatalogueTranslator("es", "en").translate(["sarten roja"]) == ["frying pan red"]


def test_japanese_without_spaces_is_cut_at_the_longest_words() -> None:
    translator = CatalogueTranslator("ja", "en")
    assert translator.translate(["黒スマホケース"]) == ["black phone case"]
    assert translator.translate(["【コトリノ工房】赤積み木"]) == ["【コトリノ工房】 red bricks"]


def test_blank_texts_are_blank_and_the_order_is_kept() -> None:
    translator = CatalogueTranslator("pt", "en")
    assert translator.translate(["preto", "", "  ", "branco", "preto"]) == ["black", "", "", "white", "black"]


def test_it_is_a_translator_whose_name_tells_its_lexicon() -> None:
    translator: Translator = CatalogueTranslator("ru", "de")
    assert translator.name == CatalogueTranslator("en", "es").name
    assert (translator.source, translator.target) == ("ru", "de")


def test_languages_it_lacks_are_refused_with_those_it_has() -> None:
    with pytest.raises(TranslationError, match=r"does not translate en-fr: .* en, es, ja, de, ru, pt"):
        CatalogueTranslator("en", "fr")
    with pytest.raises(TranslationError, match="does not translate en-en"):
        CatalogueTranslator("en", "en")
    with pytest.raises(ConfigurationError, match="language's ISO 639-1 code is 'ja'"):
        CatalogueTranslator("jp", "en")
