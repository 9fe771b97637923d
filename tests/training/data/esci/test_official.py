from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_store.errors import InputError
from training.data.esci.flat import esci_locales, read_esci
from training.data.esci.official import EXAMPLES, PRODUCTS

_Table = dict[str, list[object]]


def _examples() -> _Table:
    return {
        "example_id": [0, 1, 2, 3],
        "query": ["desk lamp", "desk lamp", "escritorio", "lamp oil"],
        "query_id": [0, 0, 1, 2],
        "product_id": ["B1", "B2", "B1", "B2"],
        "product_locale": ["us", "us", "es", "us"],
        "esci_label": ["E", "I", "S", "C"],
        "small_version": [1, 1, 1, 0],
        "large_version": [1, 1, 1, 1],
        "split": ["train", "test", "train", "train"],
    }


def _products() -> _Table:
    return {
        "product_id": ["B2", "B1", "B1", "B9"],
        "product_title": ["Lamp oil", "Desk lamp", "Escritorio", None],
        "product_description": [None, "bright", None, None],
        "product_bullet_point": [None, "LED\ndimmable", None, None],
        "product_brand": ["Acme", None, None, None],
        "product_color": [None, "Black", None, None],
        "product_locale": ["us", "us", "es", "us"],
    }


def _folder(folder: Path, examples: _Table | None = None, products: _Table | None = None) -> Path:
    pq.write_table(pa.table(examples or _examples()), folder / EXAMPLES)
    pq.write_table(pa.table(products or _products()), folder / PRODUCTS, row_group_size=2)
    return folder


def test_examples_meet_the_product_of_their_own_locale(tmp_path: Path) -> None:
    pairs = read_esci(_folder(tmp_path))
    assert [(pair.product_title, pair.label) for pair in pairs["us"]] == [
        ("Desk lamp", 1),
        ("Lamp oil", 0),
        ("Lamp oil", 0),
    ]
    assert [pair.product_title for pair in pairs["es"]] == ["Escritorio"]
    lamp = pairs["us"][0]
    assert (lamp.product_brand, lamp.product_color) == ("", "Black")
    assert (lamp.product_bullet_points, lamp.product_description) == ("LED\ndimmable", "bright")


def test_a_locale_a_version_and_an_official_split_can_be_chosen(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    assert esci_locales(folder) == ["es", "us"]
    assert list(read_esci(folder, ["es"])) == ["es"]
    assert len(read_esci(folder, ["us"], version="small")["us"]) == 2
    assert len(read_esci(folder, ["us"], official_split="train")["us"]) == 2


def test_an_unknown_locale_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows of locale 'jp'; there are es, us"):
        read_esci(_folder(tmp_path), ["jp"])


def test_an_unknown_label_is_named_with_its_row(tmp_path: Path) -> None:
    examples = _examples() | {"esci_label": ["E", "I", "S", "Q"]}
    with pytest.raises(InputError, match="row 4, field 'esci_label': unknown label 'Q'"):
        read_esci(_folder(tmp_path, examples))


def test_an_empty_query_is_named_with_its_row(tmp_path: Path) -> None:
    examples = _examples() | {"query": ["desk lamp", None, "escritorio", " "]}
    with pytest.raises(InputError, match="row 2, field 'query': the text is empty"):
        read_esci(_folder(tmp_path, examples))


def test_an_example_without_its_product_is_named(tmp_path: Path) -> None:
    examples = _examples() | {"product_id": ["B1", "B7", "B1", "B2"]}
    with pytest.raises(InputError, match="row 2, field 'product_id': product 'B7' of locale 'us' is not in"):
        read_esci(_folder(tmp_path, examples))


def test_a_product_without_a_title_is_named(tmp_path: Path) -> None:
    examples = _examples() | {"product_id": ["B1", "B9", "B1", "B2"]}
    with pytest.raises(InputError, match=r"products\.parquet, row 4, field 'product_title'"):
        read_esci(_folder(tmp_path, examples))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    products = _products()
    del products["product_brand"]
    with pytest.raises(InputError, match=r"products\.parquet, field 'product_brand': the column is missing"):
        read_esci(_folder(tmp_path, products=products))


def test_a_re_exported_folder_may_have_other_column_types(tmp_path: Path) -> None:
    examples = _examples() | {
        "query": [1984, 1984, 7, 8],
        "small_version": [True, True, True, False],
        "product_id": [1, 2, 1, 2],
    }
    products = _products() | {"product_id": [2, 1, 1, 9]}
    pairs = read_esci(_folder(tmp_path, examples, products), ["us"], version="small")["us"]
    assert [(pair.query, pair.product_id, pair.product_title) for pair in pairs] == [
        ("1984", "1", "Desk lamp"),
        ("1984", "2", "Lamp oil"),
    ]


def test_a_column_of_an_unreadable_type_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table(_examples() | {"product_locale": [[1], [2], [3], [4]]}), tmp_path / EXAMPLES)
    pq.write_table(pa.table(_products()), tmp_path / PRODUCTS)
    with pytest.raises(InputError, match=r"examples\.parquet: no readable Parquet file"):
        read_esci(tmp_path)


def test_bullet_points_may_be_a_list(tmp_path: Path) -> None:
    products = _products() | {"product_bullet_point": [[], ["LED ", None, "dimmable"], None, None]}
    lamp = read_esci(_folder(tmp_path, products=products))["us"][0]
    assert lamp.product_bullet_points == "LED dimmable"


def test_a_damaged_and_a_missing_file_are_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / PRODUCTS).write_bytes(b"PAR1 cut off")
    with pytest.raises(InputError, match=r"products\.parquet: no readable Parquet file"):
        read_esci(folder)
    (folder / PRODUCTS).unlink()
    with pytest.raises(InputError, match=r"products\.parquet: cannot be read"):
        read_esci(folder)
