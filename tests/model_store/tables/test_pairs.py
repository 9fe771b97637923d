"""What is read from a table is the same for training, prediction and the fill."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from model_store.tables.columns import ColumnMapping
from model_store.tables.pairs import OtherMarketplace, PairRow, PairTable
from model_store.tables.values import BadRow
from service.fill.candidates.chunks import CandidateFile
from training.data.table import read_labelled, read_unlabelled

Row = Mapping[str, object]
_ROW = {"marketplace": "us", "query": "desk lamp", "product_id": "B1", "product_title": "Lamp"}


def tsv(path: Path, rows: Sequence[Row]) -> Path:
    names = list(rows[0])
    lines = ["\t".join(names), *("\t".join(str(row[name]) for name in names) for row in rows)]
    path.write_text("\r\n".join(lines), encoding="utf-8")
    return path


def zipped_csv(path: Path, rows: Sequence[Row]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def json_lines(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def parquet(path: Path, rows: Sequence[Row]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


WRITERS: dict[str, Callable[[Path, Sequence[Row]], Path]] = {
    "a.tsv": tsv,
    "a.csv.gz": zipped_csv,
    "a.jsonl": json_lines,
    "a.parquet": parquet,
}


def trained_on(path: Path) -> list[QueryProductPair]:
    return [pair for _, pair in read_unlabelled(path)]


def filled_with(path: Path, marketplace: str = "us") -> list[QueryProductPair]:
    items = list(CandidateFile(path, marketplace, 1000).pairs())
    assert not any(isinstance(item, BadRow) for item in items)
    return [item.pair for item in items if isinstance(item, PairRow)]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("column", ["marketplace", "product_locale", "locale"])
@pytest.mark.parametrize("market", ["us", "US", " Us "])
def test_marketplaces_have_no_case(tmp_path: Path, name: str, column: str, market: str) -> None:
    row = {**_ROW, column: market}
    if column != "marketplace":
        del row["marketplace"]
    path = WRITERS[name](tmp_path / name, [row, {**row, column: "JP"}])
    expected = QueryProductPair("us", "desk lamp", Product("B1", "Lamp"))
    assert filled_with(path) == filled_with(path, "US") == [expected]
    assert [pair.marketplace for pair in trained_on(path)] == ["us", "jp"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (12345, "12345"),
        (12345.0, "12345"),
        (2.5, "2.5"),
        ({"en": "Lamp"}, '{"en": "Lamp"}'),
        (["Bright ", "", None, "LED"], "Bright LED"),
    ],
)
def test_values_become_one_text(tmp_path: Path, name: str, value: object, text: str) -> None:
    row = {**_ROW, "product_title": value, "bullet_points": value}
    path = WRITERS[name](tmp_path / name, [row])
    pair = QueryProductPair("us", "desk lamp", Product("B1", text, bullet_points=text))
    assert trained_on(path) == filled_with(path) == [pair]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_nothing_is_nothing(tmp_path: Path, name: str, nothing: object) -> None:
    optional = {**_ROW, "product_brand": nothing, "product_color": nothing}
    assert trained_on(WRITERS[name](tmp_path / name, [optional])) == [
        QueryProductPair("us", "desk lamp", Product("B1", "Lamp"))
    ]
    path = WRITERS[name](tmp_path / name, [{**_ROW, "product_title": nothing}])
    with pytest.raises(InputError, match="row 1, field 'product_title': the text is empty"):
        trained_on(path)
    (item,) = CandidateFile(path, "us", 1000).pairs()
    assert item == BadRow(1, "the text is empty or only white space and invisible characters", "product_title")


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("field", ["query", "product_id", "product_title"])
@pytest.mark.parametrize("text", ["", " \u3000", "\u200b", "\ufeff\u00ad", "a\x00b"])
def test_what_training_refuses_the_fill_counts_as_bad(tmp_path: Path, name: str, field: str, text: str) -> None:
    path = WRITERS[name](tmp_path / name, [_ROW, {**_ROW, field: text}])
    good, bad = CandidateFile(path, "us", 1000).pairs()
    assert isinstance(good, PairRow)
    assert isinstance(bad, BadRow)
    with pytest.raises(InputError) as caught:
        trained_on(path)
    assert (caught.value.row, caught.value.field, caught.value.problem) == (bad.row, bad.field, bad.problem)


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n\t"), min_size=1, max_size=12)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "locale": st.sampled_from(["us", "US", "es"]),
                "query": _TEXT,
                "id": _TEXT,
                "title": _TEXT,
                "color": _TEXT | st.just(""),
            }
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(sorted(WRITERS)),
)
def test_both_sides_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], name: str
) -> None:
    path = WRITERS[name](tmp_path_factory.mktemp("pairs") / name, rows)
    items = list(PairTable(path).pairs())
    for number, item in enumerate(items):
        for own in ("us", "es"):
            (filled,) = [one for one in CandidateFile(path, own, 1000).pairs() if one.row == item.row]
            if isinstance(filled, OtherMarketplace):
                assert rows[number]["locale"].lower() != own
            else:
                assert filled == item


def test_a_marketplace_that_is_none_is_a_bad_row_and_rows_of_others_are_left_out(tmp_path: Path) -> None:
    rows = [{**_ROW, "marketplace": name} for name in ("United States", "es", "", "us!", "ES", "es")]
    items = list(CandidateFile(tsv(tmp_path / "a.tsv", rows), "us", 1000).pairs())
    kinds = [type(item) for item in items]
    assert kinds == [BadRow, OtherMarketplace, PairRow, BadRow, OtherMarketplace, OtherMarketplace]
    assert isinstance(items[0], BadRow)
    assert items[0].field == "marketplace"


def test_the_columns_own_names_are_said(tmp_path: Path) -> None:
    path = tsv(
        tmp_path / "a.tsv", [{"locale": "us", "query": "q", "id": " ", "title": "t", "esci_label": "maybe"}]
    )
    with pytest.raises(InputError, match="row 2, field 'id'"):
        trained_on(path)
    path = tsv(
        tmp_path / "b.tsv", [{"locale": "us", "query": "q", "id": "1", "title": "t", "esci_label": "maybe"}]
    )
    with pytest.raises(InputError, match="row 2, field 'esci_label': unknown label 'maybe'"):
        list(read_labelled(path))


def test_quoted_names_of_a_tsv_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('"query"\t"product_id"\t"product_title"\nq\t1\tt\n')
    with pytest.raises(InputError, match=r"field 'query': .* leave out the quotation marks"):
        CandidateFile(path, "us", 1000)


def test_a_mapping_renames_columns_and_names_one_marketplace(tmp_path: Path) -> None:
    rows = [{"arama": "lamba", "sku": 7, "ad": "Masa", "marketplace": "elsewhere, not read"}]
    mapping = ColumnMapping(marketplace="TR", query="arama", product_id="sku", product_title="ad")
    (item,) = PairTable(tsv(tmp_path / "a.tsv", rows), mapping).pairs()
    assert item == PairRow(2, QueryProductPair("tr", "lamba", Product("7", "Masa")))
