from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, InputError
from tests.support.training.real_data import write_tiny_taxonomy
from training.data.sources import CatalogueSource, EsciSource, TableSource, TaxonomySource, parse_source

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
