from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, InputError
from tests.support.training.real_data import real_data
from training.data.esci.flat import FLAT_COLUMNS, esci_locales, read_esci
from training.data.pairs import RelevancePair
from training.data.splits import check_trainable, split_by_query

_GOOD = ("us", "desk lamp", "B1", 'Lamp 5" tall', "Acme", "", "E")


def _flat(folder: Path, *rows: tuple[str, ...], header: tuple[str, ...] = FLAT_COLUMNS) -> Path:
    path = folder / "esci.tsv"
    path.write_text("\n".join("\t".join(row) for row in (header, *rows)), encoding="utf-8")
    return path


def _changed(**changes: str) -> tuple[str, ...]:
    return tuple(changes.get(column, cell) for column, cell in zip(FLAT_COLUMNS, _GOOD, strict=True))


def test_a_quotation_mark_is_a_character_like_any_other(tmp_path: Path) -> None:
    pairs = read_esci(_flat(tmp_path, _GOOD))
    assert pairs == {"us": [RelevancePair("us", "desk lamp", "B1", 'Lamp 5" tall', 1, "Acme")]}


def test_exact_and_substitute_are_relevant_the_others_not(tmp_path: Path) -> None:
    path = _flat(tmp_path, *(_changed(esci_label=label) for label in "ESCI"))
    assert [pair.label for pair in read_esci(path)["us"]] == [1, 1, 0, 0]


def test_only_the_locales_asked_for_are_read(tmp_path: Path) -> None:
    path = _flat(tmp_path, _GOOD, _changed(product_locale="jp", query="本棚"))
    assert esci_locales(path) == ["jp", "us"]
    assert {name: len(pairs) for name, pairs in read_esci(path, ["jp"]).items()} == {"jp": 1}


def test_an_unknown_locale_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"esci\.tsv, field 'product_locale': no rows of locale 'it'; there are us"
    ):
        read_esci(_flat(tmp_path, _GOOD), ["it"])


def test_an_unknown_label_is_named_with_its_row(tmp_path: Path) -> None:
    path = _flat(tmp_path, _GOOD, _changed(esci_label="X"))
    with pytest.raises(InputError, match=r"esci\.tsv, row 3, field 'esci_label': unknown label 'X'"):
        read_esci(path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = _flat(tmp_path, _GOOD[:-1], header=FLAT_COLUMNS[:-1])
    with pytest.raises(
        InputError, match="field 'esci_label': the column is missing; the file has product_locale"
    ):
        read_esci(path)


def test_a_ragged_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 3: 8 fields where the header has 7"):
        read_esci(_flat(tmp_path, _GOOD, (*_GOOD, "more")))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"query": ""}, "row 2, field 'query': the text is empty"),
        ({"query": " \u3000 "}, "row 2, field 'query': the text is empty"),
        ({"product_title": "a\x00b"}, "row 2, field 'product_title': the text contains a NUL"),
        ({"product_brand": "a\x00b"}, "row 2, field 'product_brand': the text contains a NUL"),
    ],
)
def test_a_bad_text_is_named_with_its_row_and_field(
    tmp_path: Path, changes: dict[str, str], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        read_esci(_flat(tmp_path, _changed(**changes)))


def test_a_folder_without_the_official_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks shopping_queries_dataset_examples"):
        read_esci(tmp_path)


def test_options_of_the_official_folder_are_refused_for_a_flat_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="official folder"):
        read_esci(_flat(tmp_path, _GOOD), version="small")


def test_the_real_sample_is_trainable_in_each_locale() -> None:
    path = real_data("esci_sample/esci_sample.tsv")
    pairs = read_esci(path)
    assert {name: len(rows) for name, rows in pairs.items()} == {"es": 332, "jp": 389, "us": 6192}
    for name, rows in pairs.items():
        check_trainable(split_by_query(rows), name, str(path))
