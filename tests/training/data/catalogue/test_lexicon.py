from __future__ import annotations

import re
from collections import Counter

import pytest

from model_store.errors import InputError
from training.data.catalogue import MARKETPLACES, generate_pairs
from training.data.catalogue.lexicon import load_lexicon
from training.data.catalogue.lexicon_files import entry_of
from training.data.catalogue.marketplaces import all_brands, brands_by_category, marketplace_named
from training.data.catalogue.words import LANGUAGES, without_accents

SCRIPTS = {"ja": r"[\u3041-\u30ff\u4e00-\u9fff]", "ru": r"[а-яё]"}
LATIN = ("en", "es", "de", "pt")
MEASURE = re.compile(r"\d+ \w+")


def _forms(language: str) -> list[str]:
    return [form for entry in load_lexicon().entries for word in entry.words[language] for form in word.forms]


def test_every_entry_has_words_in_every_language() -> None:
    for entry in load_lexicon().entries:
        assert set(entry.words) == set(LANGUAGES)
        for language in LANGUAGES:
            assert entry.words[language], (entry.key, language)
            assert all(form == form.strip() != "" for word in entry.words[language] for form in word.forms)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_phrase_means_two_things(language: str) -> None:
    phrases = Counter(
        phrase
        for entry in load_lexicon().entries
        for phrase in {form.casefold() for word in entry.words[language] for form in word.forms}
    )
    assert [phrase for phrase, uses in phrases.items() if uses > 1] == []


@pytest.mark.parametrize("marketplace", MARKETPLACES)
def test_no_phrase_is_a_brand_or_a_line(marketplace: str) -> None:
    profile = marketplace_named(marketplace)
    names = {line for _, *lines in profile.house_brands.values() for line in lines} | all_brands()
    phrases = {form.casefold() for form in _forms(profile.language)}
    assert phrases.isdisjoint(name.casefold() for name in names)


@pytest.mark.parametrize(("language", "script"), SCRIPTS.items())
def test_words_are_in_the_language_s_script(language: str, script: str) -> None:
    others = [form for form in _forms(language) if not re.search(script, form.lower())]
    assert [form for form in others if not MEASURE.fullmatch(form)] == []


@pytest.mark.parametrize("language", LATIN)
def test_languages_in_latin_script_have_no_other_letters(language: str) -> None:
    assert [form for form in _forms(language) if re.search(r"[^\u0020-\u024f\u2019]", form)] == []


@pytest.mark.parametrize(("marketplace", "script"), [("jp", SCRIPTS["ja"]), ("ru", SCRIPTS["ru"])])
def test_titles_are_written_in_the_marketplace_s_script(marketplace: str, script: str) -> None:
    pairs = generate_pairs(marketplace, 200, 0)
    assert all(re.search(script, pair.product_title.lower()) for pair in pairs)


def test_siblings_know_each_other_and_accessories_belong_to_a_type() -> None:
    items = load_lexicon().items
    for item in items.values():
        assert all(item.key in items[sibling].siblings for sibling in item.siblings)
        assert not item.of or not items[item.of].of


def test_every_category_has_brands_and_there_are_sixty_at_least() -> None:
    assert set(brands_by_category()) == set(load_lexicon().categories)
    assert len(all_brands()) >= 60


@pytest.mark.parametrize("marketplace", MARKETPLACES)
def test_house_brands_sell_a_type_of_the_marketplace_s_main_categories(marketplace: str) -> None:
    profile = marketplace_named(marketplace)
    items = load_lexicon().items
    for item, *_ in profile.house_brands.values():
        assert items[item].category in profile.categories
    assert set(profile.fillers) <= set(load_lexicon().phrases)


def test_adjectives_agree_with_the_noun() -> None:
    red = next(entry for entry in load_lexicon().entries if entry.key == "red")
    assert red.words["es"][0].agreeing("es", "fp") == "rojas"
    assert red.words["ru"][0].agreeing("ru", "n") == "красное"
    assert red.words["en"][0].agreeing("en", "m") == "red"


def test_without_accents_keeps_letters_that_are_not_accented_ones() -> None:
    assert without_accents("sartén pequeña") == "sarten pequena"
    assert without_accents("чёрный чайник") == "черный чайник"
    assert without_accents("ドライヤー") == "ドライヤー"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("rojo/roja", r"table.tsv, row 3, field 'es': 'rojo/roja' has 2 forms, .* give 1 or 4"),
        ("mesa@x", r"'x' is no gender of this language: use one of m, f, mp, fp"),
        ("", r"'' has 1 forms, some of them perhaps empty"),
    ],
)
def test_a_malformed_cell_is_refused_with_its_place(cell: str, message: str) -> None:
    row = dict.fromkeys(LANGUAGES, "word") | {"es": cell}
    with pytest.raises(InputError, match=message):
        entry_of(row, "key", "type", "table.tsv", 3)
