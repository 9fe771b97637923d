from __future__ import annotations

import pytest

from training.translation.letter_case import in_the_case_of


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
