from __future__ import annotations

from training.translation import IdentityTranslator


def test_texts_stay_as_they_are() -> None:
    translator = IdentityTranslator("en")
    assert translator.translate(["red colour", "", " x "]) == ["red colour", "", "x"]
    assert (translator.source, translator.target) == ("en", "en")
