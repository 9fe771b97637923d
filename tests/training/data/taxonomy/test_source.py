from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model_store.errors import InputError
from tests.support.training.real_data import real_data, write_tiny_taxonomy
from training.data.pairs import RelevancePair
from training.data.splits import check_trainable, split_by_query
from training.data.taxonomy.source import generate_taxonomy_pairs, taxonomy_locales, taxonomy_phrases


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_taxonomy(tmp_path)


def test_the_same_seed_gives_the_same_pairs_and_another_seed_others(folder: Path) -> None:
    pairs = generate_taxonomy_pairs(folder, "en", 60, 1)
    assert generate_taxonomy_pairs(folder, "en", 60, 1) == pairs
    assert generate_taxonomy_pairs(folder, "en", 60, 2) != pairs


def test_no_judgement_comes_twice_and_both_classes_occur(folder: Path) -> None:
    pairs = generate_taxonomy_pairs(folder, "en", 200, 0)
    assert len({(pair.query, pair.product_title) for pair in pairs}) == 200
    assert 60 <= sum(pair.label for pair in pairs) <= 120


def test_a_locale_dropped_beside_the_others_works(folder: Path) -> None:
    (folder / "dist" / "pt-BR").rename(folder / "dist" / "tr")
    assert list(taxonomy_locales(folder)) == ["en", "tr"]
    assert {pair.marketplace for pair in generate_taxonomy_pairs(folder, "tr", 20, 0)} == {"tr"}


def test_the_marketplace_is_the_locale_in_small_letters(folder: Path) -> None:
    pairs = generate_taxonomy_pairs(folder, "pt-BR", 20, 0)
    assert {pair.marketplace for pair in pairs} == {"pt-br"}
    assert generate_taxonomy_pairs(folder, "pt-br", 20, 0) == pairs


def test_a_relevant_product_never_contradicts_the_colour_asked_for(folder: Path) -> None:
    colors = {"black", "red", "blue"}
    judged = [
        (asked & {pair.product_color.lower()}, pair.label)
        for pair in generate_taxonomy_pairs(folder, "en", 300, 0)
        if (asked := colors & set(pair.query.split())) and pair.product_color
    ]
    assert all(same for same, label in judged if label)
    assert any(not same for same, label in judged if not label)


def test_each_locale_favours_verticals_of_its_own(folder: Path) -> None:
    locales = ["en-au", "en-ca", "en-gb", "en-in"]
    toys = []
    for locale in locales:
        shutil.copytree(folder / "dist" / "en", folder / "dist" / locale)
        pairs = generate_taxonomy_pairs(folder, locale, 300, 0)
        toys.append(sum("dolls" in pair.query or "puzzles" in pair.query for pair in pairs))
    assert max(toys) - min(toys) > 100


def test_a_value_called_other_is_not_used(folder: Path) -> None:
    assert all("Other" not in pair.product_title for pair in generate_taxonomy_pairs(folder, "en", 300, 0))


def test_more_pairs_than_a_taxonomy_has_are_refused(folder: Path) -> None:
    (folder / "dist" / "en" / "attributes.json").write_text('{"attributes": []}', encoding="utf-8")
    with pytest.raises(InputError, match=r"gives only about \d+ of 5000 different pairs"):
        generate_taxonomy_pairs(folder, "en", 5000, 0)


def test_phrases_are_parallel_by_id(folder: Path) -> None:
    phrases = taxonomy_phrases(folder, "en", "pt-BR")
    assert phrases["Bookcases"] == "Estantes"
    assert phrases["Color"] == "Cor"
    assert phrases["Furniture material"] == "Material do móvel"
    assert phrases["Oak"] == "Carvalho"


def test_phrases_of_files_that_were_changed_are_read_anew(folder: Path) -> None:
    assert taxonomy_phrases(folder, "en", "pt-BR")["Oak"] == "Carvalho"
    path = folder / "dist" / "pt-BR" / "attributes.json"
    path.write_text(path.read_text(encoding="utf-8").replace("Carvalho", "Roble"), encoding="utf-8")
    assert taxonomy_phrases(folder, "en", "pt-BR")["Oak"] == "Roble"


def test_phrases_need_no_tree(folder: Path) -> None:
    for path in (folder / "data" / "categories").iterdir():
        path.unlink()
    assert taxonomy_phrases(folder, "pt-br", "en")["Preto"] == "Black"
    with pytest.raises(InputError, match=r"no data/categories/\*\.yml"):
        generate_taxonomy_pairs(folder, "en", 10, 0)


def test_an_unknown_locale_lists_those_there_are(folder: Path) -> None:
    with pytest.raises(InputError, match="no locale 'ko'; there are en, pt-br"):
        generate_taxonomy_pairs(folder, "ko", 10, 0)
    with pytest.raises(InputError, match="no locale 'ko'"):
        taxonomy_phrases(folder, "en", "ko")


def test_a_folder_without_a_taxonomy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no localised taxonomy"):
        generate_taxonomy_pairs(tmp_path, "en", 10, 0)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (
            "dist/en/categories.txt",
            "# x\n\nFurniture\n",
            r"categories\.txt, row 3: 'Furniture' is no 'id : path",
        ),
        (
            "dist/en/categories.txt",
            "gid://s/T/fr-1 : A > B\n",
            r"row 1: 'fr-1' comes without its parent 'fr'",
        ),
        ("dist/en/categories.txt", "gid://s/T/fr : A\n", "no category with a sibling"),
        ("dist/en/attributes.json", '{\n"attributes": [\n', r"attributes\.json, row 2: no valid JSON"),
        ("dist/en/attributes.json", "[" * 200_000, r"attributes\.json: no valid JSON \(nested too deeply\)"),
        ("data/categories/fr.yml", "[" * 2_000, r"fr\.yml.*: no valid YAML"),
        (
            "dist/en/attributes.json",
            '{"attributes": [{}]}',
            r"field 'attributes\.0\.name': not of a taxonomy's form",
        ),
        ("data/categories/fr.yml", "- id: fr\n  attributes: [\n", r"fr\.yml, row 3: no valid YAML"),
        ("data/categories/fr.yml", "- id: 3\n", r"fr\.yml, field '0\.id': not of a taxonomy's form"),
    ],
)
def test_a_garbled_file_is_named_with_its_line(folder: Path, name: str, content: str, problem: str) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        generate_taxonomy_pairs(folder, "en", 10, 0)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "dist" / "en" / "attributes.json").unlink()
    with pytest.raises(InputError, match=r"attributes\.json: cannot be read"):
        taxonomy_phrases(folder, "pt-br", "en")


def _script_share(pairs: list[RelevancePair], first: str, last: str) -> float:
    texts = "".join(pair.product_title for pair in pairs)
    return sum(first <= character <= last for character in texts) / len(texts)


def test_real_locales_are_trainable_and_differ() -> None:
    folder = real_data("shopify_taxonomy")
    english = generate_taxonomy_pairs(folder, "en", 1500, 0)
    japanese = generate_taxonomy_pairs(folder, "ja", 1500, 0)
    for pairs in (english, japanese):
        assert 0.4 <= sum(pair.label for pair in pairs) / len(pairs) <= 0.5
        check_trainable(split_by_query(pairs), pairs[0].marketplace, "taxonomy")
    assert _script_share(english, "\u3040", "\u9fff") == 0
    assert _script_share(japanese, "\u3040", "\u9fff") > 0.5


def test_real_phrases_cover_the_generated_titles() -> None:
    phrases = taxonomy_phrases(real_data("shopify_taxonomy"), "en", "es")
    assert len(phrases) > 20_000
    assert (phrases["Black"], phrases["Trench Coats"]) == ("Negro", "Gabardinas")
