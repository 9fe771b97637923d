from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.errors import InputError
from model_store.query_normalisation import normalised_query
from model_store.text import checked_text


@pytest.mark.parametrize(
    ("query", "normal"),
    [
        ("  USB\t C \n cable ", "usb c cable"),
        ("ｱｲﾌｫﾝ　ケース", "アイフォン ケース"),
        ("STRASSE straße", "strasse strasse"),
        ("Cafe\u0301", "caf\u00e9"),
        ("½ inch", "1⁄2 inch"),
        ("İstanbul", "i̇stanbul"),
    ],
)
def test_spellings_that_mean_the_same_are_one(query: str, normal: str) -> None:
    assert normalised_query(query) == normal


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
