from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, InputError
from model_store.product import Product, QueryProductPair
from tests.support.training.real_data import write_tiny_taxonomy
from training.data.pairs import RelevancePair
from training.data.sources import (
    CatalogueSource,
    ColumnMapping,
    EsciSource,
    TableSource,
    TaxonomySource,
    parse_source,
    read_labelled,
    read_unlabelled,
)

_ESCI = (
    "product_locale\tquery\tproduct_id\tproduct_title\tproduct_brand\tproduct_color\tesci_label\n"
    'us\tlamp\tB1\tLamp 5"\t\t\tE\njp\t電球\tB2\t電球\t\t\tI\n'
)


@pytest.fixture
def esci(tmp_path: Path) -> Path:
    path = tmp_path / "esci.tsv"
    path.write_text(_ESCI, encoding="utf-8")
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    path.write_text("market,query,id,title,label\nus,lamp,1,Lamp,1\nes,lamp,1,Lamp,0\n", encoding="utf-8")
    return path


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.yaml"
    path.write_text("marketplace_column: market\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("prefix", ["", "esci:"])
def test_a_flat_esci_file(esci: Path, prefix: str) -> None:
    source = parse_source(f"{prefix}{esci}")
    assert isinstance(source, EsciSource)
    assert source.available() == ["jp", "us"]
    assert [pair.product_title for pair in source.load(["us"], 0)["us"]] == ['Lamp 5"']


def test_a_table_with_a_mapping(table: Path, mapping: Path) -> None:
    source = parse_source(f"table:{table}:{mapping}")
    assert source.available() == ["es", "us"]
    assert [(pair.marketplace, pair.label) for pair in source.load(["es"], 0)["es"]] == [("es", 0)]


def test_any_other_file_is_a_table(table: Path) -> None:
    assert isinstance(parse_source(str(table)), TableSource)
    assert isinstance(parse_source(f"table:{table}"), TableSource)


@pytest.mark.parametrize(("form", "rows"), [("taxonomy:{}", 3000), ("taxonomy:{}:40", 40), ("{}", 3000)])
def test_a_taxonomy(tmp_path: Path, form: str, rows: int) -> None:
    source = parse_source(form.format(write_tiny_taxonomy(tmp_path)))
    assert isinstance(source, TaxonomySource)
    assert source.rows == rows
    assert source.available() == ["en", "pt-br"]


def test_a_taxonomy_generates_what_is_asked_for(tmp_path: Path) -> None:
    source = parse_source(f"taxonomy:{write_tiny_taxonomy(tmp_path)}:40")
    pairs = source.load(["pt-br", "en"], 7)
    assert {name: len(rows) for name, rows in pairs.items()} == {"pt-br": 40, "en": 40}
    assert source.load(["en"], 7)["en"] == pairs["en"]
    assert source.load(["en"], 8)["en"] != pairs["en"]


def test_the_catalogue_has_3000_rows_a_marketplace_unless_told() -> None:
    assert parse_source("catalogue") == CatalogueSource(3000)
    assert parse_source("catalogue:300") == CatalogueSource(300)


def test_an_unknown_marketplace_lists_those_available(
    esci: Path, table: Path, mapping: Path, tmp_path: Path
) -> None:
    taxonomy = write_tiny_taxonomy(tmp_path / "taxonomy")
    for text, available in (
        (str(esci), "jp, us"),
        (f"table:{table}:{mapping}", "es, us"),
        (f"taxonomy:{taxonomy}", "en, pt-br"),
    ):
        with pytest.raises(InputError, match=f"no marketplace 'xx'; available are {available}"):
            parse_source(text).load(["xx"], 0)


@pytest.mark.parametrize("text", ["nowhere.tsv", "catalog", "", "esci:nowhere", "table:nowhere.csv:no.yaml"])
def test_what_is_not_there_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(InputError, match=r"no such file or folder, .* use catalogue\[:ROWS\]"):
        parse_source(text)


@pytest.mark.parametrize("text", ["catalogue:many", "catalogue:0", "catalogue:-5", "catalogue:", "taxonomy:"])
def test_a_malformed_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="use"):
        parse_source(text)


def test_a_number_of_rows_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'many' is no number of rows"):
        parse_source(f"taxonomy:{write_tiny_taxonomy(tmp_path)}:many")


def test_an_unrecognised_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither the official ESCI folder nor a taxonomy"):
        parse_source(str(tmp_path))


@pytest.mark.parametrize("form", ["{}/esci.tsv", "esci:{}/esci.tsv"])
def test_a_path_below_the_folder_for_data(esci: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("RELEVANCE_DATA", str(esci.parent))
    assert parse_source(form.format("$RELEVANCE_DATA")).available() == ["jp", "us"]


def test_a_mapping_and_a_taxonomy_below_the_folder_for_data(
    table: Path, mapping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELEVANCE_DATA", str(tmp_path))
    assert parse_source("table:$RELEVANCE_DATA/own.csv:$RELEVANCE_DATA/mapping.yaml").available() == ["es", "us"]
    write_tiny_taxonomy(tmp_path / "taxonomy")
    source = parse_source("taxonomy:$RELEVANCE_DATA/taxonomy:40")
    assert isinstance(source, TaxonomySource)
    assert (source.folder, source.rows) == (tmp_path / "taxonomy", 40)


@pytest.mark.parametrize("value", [None, ""])
def test_where_the_folder_for_data_is_not_given_the_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELEVANCE_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("RELEVANCE_DATA", value)
    with pytest.raises(ConfigurationError, match="set RELEVANCE_DATA to the folder"):
        parse_source("$RELEVANCE_DATA/esci.tsv")


@pytest.mark.parametrize("form", ["table", "esci"])
def test_labels_that_contradict_each_other_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    header = "product_locale\tquery\tproduct_id\tproduct_title\tproduct_brand\tproduct_color\tesci_label\n"
    rows = ["us\tlamp\t1", "us\tLAMP \t1", "us\tlamp\t2", "us\tlamp\t2", "us\tdesk\t1", "es\tlamp\t2"]
    labels = "EIEEII"
    path = tmp_path / "own.tsv"
    lines = [f"{row}\tt\t\t\t{label}\n" for row, label in zip(rows, labels, strict=True)]
    path.write_text(header + "".join(lines), encoding="utf-8")
    found = parse_source(f"{form}:{path}").load(["us", "es"], 0)
    assert len(found["us"]) == 5
    (message,) = [record.getMessage() for record in caplog.records]
    assert (
        "own.tsv, marketplace 'us': 1 products are relevant to a query in one row and not in another" in message
    )


def test_the_catalogue_generates_what_is_asked_for() -> None:
    source = parse_source("catalogue:30")
    marketplace = source.available()[0]
    pairs = source.load([marketplace], 0)
    assert [pair.marketplace for pair in pairs[marketplace]] == [marketplace] * 30
    assert source.load([marketplace], 0) == pairs


def test_a_marketplace_that_the_catalogue_lacks_lists_those_available() -> None:
    source = parse_source("catalogue")
    listed = ", ".join(source.available())
    with pytest.raises(InputError, match=f"catalogue: no marketplace 'xx'; available are {listed}"):
        source.load(["xx"], 0)


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
