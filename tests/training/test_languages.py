from __future__ import annotations

import pytest

from model_store.errors import ConfigurationError
from training.languages import language_of


@pytest.mark.parametrize(
    ("marketplace", "language"),
    [
        ("us", "en"),
        ("uk", "en"),
        ("in", "en"),
        ("mx", "es"),
        ("ar", "es"),
        ("jp", "ja"),
        ("at", "de"),
        ("br", "pt"),
        ("fr", "fr"),
        ("se", "sv"),
        ("cn", "zh"),
        ("kr", "ko"),
    ],
)
def test_a_country_speaks_its_main_language(marketplace: str, language: str) -> None:
    assert language_of(marketplace) == language


@pytest.mark.parametrize("code", ["en", "ja", "ko", "zh", "sv", "hu"])
def test_a_language_code_is_itself(code: str) -> None:
    assert language_of(code) == code


@pytest.mark.parametrize(("locale", "language"), [("pt-br", "pt"), ("zh_hant", "zh"), ("PT-BR", "pt")])
def test_a_locale_starts_with_its_language(locale: str, language: str) -> None:
    assert language_of(locale) == language


def test_an_override_comes_before_everything_known() -> None:
    assert language_of("ca", {"ca": "fr"}) == "fr"
    assert language_of("outlet", {"outlet": "it"}) == "it"


@pytest.mark.parametrize("marketplace", ["outlet", "xx", "ch", "be", "us-east", ""])
def test_a_name_that_tells_no_language_asks_for_a_setting(marketplace: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"--set languages\.{marketplace}=en"):
        language_of(marketplace)


def test_an_override_must_be_a_language_code() -> None:
    with pytest.raises(ConfigurationError, match="'english'"):
        language_of("us", {"us": "english"})
