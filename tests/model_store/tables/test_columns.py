from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_store.errors import InputError
from model_store.tables.columns import ColumnMapping


def _load(folder: Path, text: str, name: str = "mapping.yaml") -> ColumnMapping:
    (folder / name).write_text(text, encoding="utf-8")
    return ColumnMapping.load(folder / name)


def test_yaml_and_json_give_the_same_mapping(tmp_path: Path) -> None:
    values = {
        "marketplace": "pl",
        "query": "zapytanie",
        "positive_labels": [1, "tak"],
        "negative_labels": [0],
    }
    from_yaml = _load(
        tmp_path, "marketplace: pl\nquery: zapytanie\npositive_labels: [1, tak]\nnegative_labels: [0]\n"
    )
    assert from_yaml == _load(tmp_path, json.dumps(values), "mapping.json")
    assert from_yaml == ColumnMapping.model_validate(values)
    assert from_yaml.positive_labels == ("1", "tak")


def test_norway_is_no_truth_value(tmp_path: Path) -> None:
    mapping = _load(tmp_path, "marketplace: no\npositive_labels: [yes]\nnegative_labels: [no]\n")
    assert (mapping.marketplace, mapping.positive_labels) == ("no", ("yes",))


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    assert _load(tmp_path, "") == ColumnMapping()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("querry: q", r"mapping\.yaml, field 'querry': .*known names are marketplace, marketplace_column"),
        ("query: [a, b]", "field 'query'"),
        ("positive_labels: [1]", "positive_labels and negative_labels together"),
        ("positive_labels: [1, E]\nnegative_labels: [e]", r"\['e'\] are positive as well as negative"),
        ("marketplace: us\nmarketplace_column: m", "either marketplace"),
        ("marketplace: U S", "field 'marketplace': 'U S' is no marketplace name"),
        ("query: q\nlabel: [", "row 2: no valid YAML or JSON"),
        ("a: \x01", "no valid YAML or JSON"),
        ("[" * 200_000, "no valid YAML or JSON"),
        ("- query", "no valid column mapping"),
    ],
)
def test_a_bad_mapping_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        _load(tmp_path, text)
