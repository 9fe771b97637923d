from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import InputError, TranslationError
from training.translation.glossary.file import names_languages, read_phrases


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.tsv", "source\ttarget\nred dress\tvestido rojo\nshoes\tzapatos\n"),
        ("g.csv", 'Source,Target\n"red dress",vestido rojo\r\n\r\nshoes,zapatos'),
        ("g.tsv", "es\tja\ten\nvestido rojo\t\tred dress\nzapatos\t靴\tshoes\n\t靴下\tsocks\n"),
        ("g.json", '{"red dress": "vestido rojo", "shoes": "zapatos"}'),
        (
            "g.json",
            '[{"en": "red dress", "es": "vestido rojo"}, {"en": "shoes", "es": "zapatos"}, {"en": "socks"}]',
        ),
        ("g.csv", "\ufeffen,es\nred dress,vestido rojo\nshoes,zapatos"),
    ],
)
def test_every_form_gives_the_same_phrases(tmp_path: Path, name: str, text: str) -> None:
    path = written(tmp_path / name, text)
    assert read_phrases(path, "en", "es") == {"red dress": "vestido rojo", "shoes": "zapatos"}


def test_a_file_of_many_languages_serves_both_directions(tmp_path: Path) -> None:
    path = written(tmp_path / "g.tsv", "en\tes\nred\trojo\n")
    assert read_phrases(path, "es", "en") == {"rojo": "red"}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("g.tsv", "source\ttarget\na\tb\n", False),
        ("g.tsv", "en\tes\na\tb\n", True),
        ("g.json", '{"a": "b"}', False),
        ("g.json", '[{"en": "a", "es": "b"}]', True),
    ],
)
def test_a_file_tells_whether_it_names_its_languages(
    tmp_path: Path, name: str, text: str, expected: bool
) -> None:
    assert names_languages(written(tmp_path / name, text)) is expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.tsv", "", "the glossary is empty"),
        ("g.tsv", "red\trojo\nblue\tazul\n", "row 1: the header is"),
        ("g.tsv", "en\ten\nred\trojo\n", "row 1: the header is"),
        ("g.tsv", "source\ttarget\nred\n", "row 2: 1 columns where the header has 2"),
        ("g.tsv", "source\ttarget\nred\t\n", "row 2, field 'target': the text is empty"),
        ("g.tsv", "source\ttarget\n", "no phrase for en-es"),
        (
            "g.tsv",
            "source\ttarget\nred\trojo\nRED\tcolorado\n",
            "row 3: 'RED' is 'colorado' here",
        ),
        ("g.csv", 'source,target\n"red,rojo\n', "cannot be read as a table"),
        ("g.json", '{"red": "rojo",\n', "row 2: the glossary is no JSON"),
        ("g.json", "[" * 200_000, "the glossary is no JSON: nested too deeply"),
        ("g.json", '"red"', "neither an object of phrases nor a list"),
        ("g.json", '{"red": 1}', "row 1: 1 is no text"),
        ("g.json", '["red"]', "row 1: each entry is an object by language"),
        ("g.json", '{"red": "rojo", "red": "colorado"}', "'red' occurs twice"),
        ("g.json", '{"red": "\\ud800"}', "row 1, field 'target': .* lone surrogate"),
        ("g.json", '[{"en": "nul \\u0000", "es": "x"}]', "row 1, field 'en': .* NUL"),
        ("g.xlsx", "anything", r"a \.tsv, \.csv or \.json file"),
    ],
)
def test_a_garbled_file_is_refused_with_the_place(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_phrases(written(tmp_path / name, text), "en", "es")
    assert name in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.tsv: the glossary cannot be read \(No such file"):
        read_phrases(tmp_path / "nowhere.tsv", "en", "es")


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "g.tsv", "source\ttarget\nyear\taño\n", encoding="latin-1")
    with pytest.raises(InputError, match="not UTF-8"):
        read_phrases(path, "en", "es")


@pytest.mark.parametrize(
    ("name", "text"), [("g.tsv", "en\tes\nred\trojo\n"), ("g.json", '[{"en": "red", "es": "rojo"}]')]
)
def test_a_language_that_the_file_lacks_is_named_with_the_pair(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(TranslationError, match=r"no phrases for en-ja: it holds en, es, not ja"):
        read_phrases(written(tmp_path / name, text), "en", "ja")


def test_the_same_phrase_twice_with_one_translation_is_fine(tmp_path: Path) -> None:
    path = written(tmp_path / "g.tsv", "source\ttarget\nred\trojo\nRed\trojo\n")
    assert read_phrases(path, "en", "es")["red"] == "rojo"
