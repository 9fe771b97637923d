from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.errors import InputError
from model_store.query_normalisation import NORMALISATION_VERSION, normalised_query
from model_store.text import DEFAULT_IGNORABLE, checked_optional_text, checked_text, is_blank
from tests.support import REPOSITORY

_INVISIBLE = st.sampled_from("\u00ad\u200b\u200c\u200d\u2060\ufeff\ufe0f\u034f\u3164\U000e0041")


@pytest.mark.parametrize(
    ("query", "normal"),
    [
        ("  USB\t C \n cable ", "usb c cable"),
        ("ｱｲﾌｫﾝ　ケース", "アイフォン ケース"),
        ("STRASSE straße", "strasse strasse"),
        ("Cafe\u0301", "caf\u00e9"),
        ("½ inch", "1⁄2 inch"),
        ("İstanbul", "i̇stanbul"),
        ("wi\u00adfi", "wifi"),
        ("\ufeffWiFi\u200b", "wifi"),
        ("❤\ufe0f", "❤"),
        ("نرم\u200cافزار", "نرمافزار"),
        ("e\u200b\u0301", "é"),
        ("a\u200b b", "a b"),
        ("ͺ\u0323", "ι\u0323"),
        ("㎏ 5", "kg 5"),
    ],
)
def test_spellings_that_mean_the_same_are_one(query: str, normal: str) -> None:
    assert normalised_query(query) == normal


def test_the_documented_vectors_hold() -> None:
    page = (REPOSITORY / "docs" / "reference" / "cache.md").read_text(encoding="utf-8")
    vectors = re.findall(r"^\| `(\S[^`|]*)` \| `(\S[^`|]*)` \|$", page, re.MULTILINE)
    assert len(vectors) >= 12
    for query, normal in vectors:
        given, wanted = (text.encode("ascii").decode("unicode_escape") for text in (query, normal))
        assert normalised_query(given) == wanted, query


@settings(deadline=None, max_examples=500)
@given(st.text(min_size=1))
def test_normalising_twice_changes_nothing_and_never_empties_a_query(query: str) -> None:
    try:
        checked_text(query, field="query")
    except InputError:
        return
    once = normalised_query(query)
    assert once
    assert normalised_query(once) == once


@settings(deadline=None)
@given(st.text(max_size=12), st.lists(st.tuples(st.integers(0, 12), _INVISIBLE), max_size=5))
def test_characters_that_nobody_sees_make_no_other_query(query: str, inserted: list[tuple[int, str]]) -> None:
    hidden = query
    for place, character in inserted:
        hidden = hidden[:place] + character + hidden[place:]
    # A sequence of marks is put into order before the invisible character is removed.
    assert normalised_query(hidden) == normalised_query(DEFAULT_IGNORABLE.sub("", hidden))
    assert not DEFAULT_IGNORABLE.search(normalised_query(hidden))


@given(st.text(st.characters(codec="ascii"), max_size=30))
def test_what_is_ascii_is_normalised_as_any_text(query: str) -> None:
    assert normalised_query(query) == normalised_query(query + " é").removesuffix("é").strip()


@given(st.characters())
def test_a_character_and_its_compatible_form_are_one(character: str) -> None:
    compatible = unicodedata.normalize("NFKC", character)
    assert normalised_query(character) == normalised_query(compatible)


@pytest.mark.parametrize("text", ["\u200b", " \ufeff ", "\u00ad\u3164", "\t\u3000\u2064", "\U000e0061\ufe0f"])
def test_a_text_that_nobody_sees_is_blank(text: str) -> None:
    assert is_blank(text)
    with pytest.raises(InputError, match="empty or only white space"):
        checked_text(text, field="query")
    assert checked_optional_text(text, field="brand") == ""


def test_the_first_version_of_the_rule_stays() -> None:
    assert NORMALISATION_VERSION == 2
    assert normalised_query(" Wi\u00adFi  Straße", 1) == "wi\u00adfi strasse"
    with pytest.raises(KeyError):
        normalised_query("tea", 3)
