from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from training.data.pairs import RelevancePair
from training.data.table import ColumnMapping, read_labelled, read_unlabelled

_ROW = {
    "marketplace": "us",
    "query": "desk lamp",
    "product_id": "B1",
    "product_title": "Lamp",
    "label": 1,
}


def _jsonl(folder: Path, **changes: str | int | None) -> Path:
    path = folder / "pairs.jsonl"
    rows = [_ROW, {**_ROW, **changes}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _csv(folder: Path, text: str) -> Path:
    path = folder / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_our_own_names_need_no_mapping(tmp_path: Path) -> None:
    rows = list(read_labelled(_jsonl(tmp_path, label=0, product_brand=" Acme ")))
    assert rows == [
        (1, RelevancePair("us", "desk lamp", "B1", "Lamp", 1)),
        (2, RelevancePair("us", "desk lamp", "B1", "Lamp", 0, "Acme")),
    ]


def test_the_names_of_esci_need_no_mapping(tmp_path: Path) -> None:
    path = _csv(
        tmp_path,
        "product_locale,query,product_id,product_title,product_bullet_point,esci_label\nJP,q,1,t,b,C\n",
    )
    assert list(read_labelled(path)) == [(2, RelevancePair("jp", "q", "1", "t", 0, product_bullet_points="b"))]


def test_a_mapping_names_columns_labels_and_one_marketplace(tmp_path: Path) -> None:
    mapping = ColumnMapping(
        marketplace="tr",
        query="arama",
        product_id="sku",
        product_title="ad",
        label="grade",
        positive_labels=("3", "2"),
        negative_labels=("1", "0"),
    )
    path = _csv(tmp_path, "arama,sku,ad,grade\nlamba,7,Masa lambası,3\nlamba,8,Masa,1.0\n")
    assert [(pair.marketplace, pair.label) for _, pair in read_labelled(path, mapping)] == [
        ("tr", 1),
        ("tr", 0),
    ]


@pytest.mark.parametrize(
    ("text", "label"), [("1", 1), ("0", 0), ("1.0", 1), ("TRUE", 1), ("false", 0), (" e", 1), ("I", 0)]
)
def test_usual_labels_are_understood(tmp_path: Path, text: str, label: int) -> None:
    assert [pair.label for _, pair in read_labelled(_jsonl(tmp_path, label=text))] == [1, label]


def test_pairs_to_predict_need_no_label(tmp_path: Path) -> None:
    path = _csv(tmp_path, "marketplace,query,id,title,color\nus,desk lamp,B1,Lamp,black\n")
    expected = QueryProductPair("us", "desk lamp", Product("B1", "Lamp", color="black"))
    assert list(read_unlabelled(path)) == [(2, expected)]


def test_a_title_of_100_000_characters_is_accepted(tmp_path: Path) -> None:
    path = _csv(tmp_path, f"marketplace,query,id,title,label\nus,lamp,B1,{'本' * 100_000},1\n")
    assert len(next(read_labelled(path))[1].product_title) == 100_000


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("label", "maybe", "unknown label 'maybe'; known are relevant: 1"),
        ("label", "", "unknown label ''"),
        ("marketplace", "u s", "'u s' is no marketplace name"),
        ("marketplace", None, "the text is empty"),
        ("query", "", "the text is empty"),
        ("query", "\t\u3000", "the text is empty"),
        ("query", "a\x00b", "the text contains a NUL"),
        ("product_title", "\ud800", "the text contains a lone surrogate"),
        ("product_description", "x\udfffy", "the text contains a lone surrogate"),
        ("product_title", "x" * 200_001, "the text has 200001 characters"),
    ],
)
def test_a_bad_value_is_named_with_row_and_field(
    tmp_path: Path, field: str, value: str | None, problem: str
) -> None:
    with pytest.raises(InputError, match=rf"pairs\.jsonl, row 2, field '{field}': .*{problem}"):
        list(read_labelled(_jsonl(tmp_path, **{field: value})))


@pytest.mark.parametrize("missing", ["query", "product_id", "product_title", "label", "marketplace"])
def test_a_missing_column_is_named_and_the_others_listed(tmp_path: Path, missing: str) -> None:
    names = [name for name in _ROW if name != missing]
    path = _csv(tmp_path, f"{','.join(names)}\n{','.join('1' * len(names))}\n")
    with pytest.raises(InputError, match=rf"field '{missing}': .* is missing; the file has {', '.join(names)}"):
        list(read_labelled(path))


def test_a_column_that_the_mapping_names_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="field 'hersteller': the row does not have this field"):
        list(read_unlabelled(_jsonl(tmp_path), ColumnMapping(product_brand="hersteller")))


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "is empty"), ("marketplace,query,product_id,product_title,label\n", "has no rows")],
)
def test_an_empty_data_set_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=rf"pairs\.csv.*: the file {problem}"):
        list(read_labelled(_csv(tmp_path, text)))


def test_mixed_up_encodings_are_named_with_their_row(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    header = b"marketplace,query,product_id,product_title,label\n"
    path.write_bytes(header + "us,größe,1,t,1\n".encode() + "us,größe,1,t,1\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"pairs\.csv, row 3, field 'query': byte 0xf6"):
        list(read_labelled(path))
