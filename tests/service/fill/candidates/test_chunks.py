from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from model_store.tables.values import BadRow
from service.fill.candidates.chunks import Candidate, CandidateFile, OtherMarketplace
from tests.support.training.real_data import real_data


def items_of(path: Path, marketplace: str = "us") -> list[Candidate | OtherMarketplace | BadRow]:
    return list(CandidateFile(path, marketplace, 1000).pairs())


def test_esci_columns_and_plain_ones_mean_the_same(tmp_path: Path) -> None:
    expected = QueryProductPair("us", "tea", Product("1", "green tea", "Brand", "green", "points", "text"))
    esci, plain = tmp_path / "esci.csv", tmp_path / "plain.csv"
    columns = "product_locale,query,product_id,product_title,product_brand,product_color,product_bullet_point"
    esci.write_text(f"{columns},product_description\nus,tea,1,green tea,Brand,green,points,text\n")
    plain.write_text(
        "marketplace,query,id,title,brand,color,bullet_points,description\n"
        "us,tea,1,green tea,Brand,green,points,text\n"
    )
    assert items_of(esci) == items_of(plain) == [Candidate(2, expected)]


def test_a_missing_column_is_named_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text("query\tproduct_id\nq\t1\n")
    with pytest.raises(InputError, match=r"c\.tsv, row 1, field 'product_title'"):
        CandidateFile(path, "us", 1000)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (b"\t1\ttitle", "query"),
        (b"q\t \ttitle", "product_id"),
        (b"q\t1\ta\x00b", "product_title"),
        (b"q\t1\tcaf\xe9", "product_title"),
        (b"q" * 1001 + b"\t1\ttitle", "query"),
    ],
)
def test_a_bad_text_is_a_bad_row_with_its_field(tmp_path: Path, row: bytes, field: str) -> None:
    path = tmp_path / "c.tsv"
    path.write_bytes(b"query\tproduct_id\tproduct_title\n" + row + b"\nq\t2\ttitle\n")
    bad, good = items_of(path)
    assert isinstance(bad, BadRow)
    assert (bad.row, bad.field) == (2, field)
    assert isinstance(good, Candidate)


def test_texts_that_are_long_only_together_are_accepted_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    query, title = "q" * 1000, "é" * 999
    path.write_text(f"query\tid\ttitle\tbrand\n {query[1:]}\t1\t{title} \t \n", encoding="utf-8")
    assert items_of(path) == [Candidate(2, QueryProductPair("us", query[1:], Product("1", title)))]


def test_a_bad_text_in_another_marketplace_is_no_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text("query\tid\ttitle\tmarketplace\n\t1\ta\x00b\tes\nq\t2\tt\t us \nq\t3\tt\t\n")
    other, first, second = items_of(path)
    assert other == OtherMarketplace(2)
    assert isinstance(first, Candidate)
    assert isinstance(second, Candidate)
    assert (first.row, first.pair.marketplace, second.pair.marketplace) == (3, "us", "us")


def test_a_json_row_without_a_field_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"query": "q", "id": 5, "title": "t"}\n{"query": "q", "id": 6}\n')
    good, bad = items_of(path)
    assert good == Candidate(1, QueryProductPair("us", "q", Product("5", "t")))
    assert isinstance(bad, BadRow)
    assert bad.field == "product_title"


def test_the_real_sample_has_pairs_of_every_marketplace() -> None:
    items = items_of(real_data("esci_sample/esci_sample.tsv"), "es")
    pairs = [item for item in items if isinstance(item, Candidate)]
    assert len(pairs) == 332
    assert not any(isinstance(item, BadRow) for item in items)


_COLUMNS = ("query", "id", "title", "brand", "marketplace")
_FORMS = ("tsv", "tsv.gz", "csv", "csv.gz", "jsonl", "jsonl.gz", "parquet")
_BLANK_AND_BROKEN = {
    "tsv": "\n\r\none field\n",
    "csv": '\n"broken"x,2\none field\n',
    "jsonl": "\n  \n{broken\n[1]\n",
}


def _rows(count: int) -> list[tuple[str, ...]]:
    return [
        (
            f" query {number} té" if number % 7 else " ",
            f"p{number}",
            f"title\u2028{number}" if number % 5 else "a\x00b",
            "",
            ("us", "es", "")[number % 3],
        )
        for number in range(count)
    ]


def _write(path: Path, form: str, count: int) -> Path:
    rows = _rows(count)
    if form == "parquet":
        columns = dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns), path, row_group_size=7)
        return path
    plain = path.with_name(f"plain.{form.removesuffix('.gz')}")
    with plain.open("w", encoding="utf-8", newline="") as file:
        if form.startswith("tsv"):
            file.writelines("\t".join(row) + "\n" for row in [_COLUMNS, *rows[: count // 2]])
            file.write(_BLANK_AND_BROKEN["tsv"])
            file.writelines("\t".join(row) + "\r\n" for row in rows[count // 2 :])
        elif form.startswith("csv"):
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows((*row[:2], f"{row[2]}\r\nsecond, line", *row[3:]) for row in rows[: count // 2])
            file.write(_BLANK_AND_BROKEN["csv"])
            writer.writerows(rows[count // 2 :])
        else:
            lines = [json.dumps(dict(zip(_COLUMNS, row, strict=True))) + "\n" for row in rows]
            file.writelines([*lines[: count // 2], _BLANK_AND_BROKEN["jsonl"], *lines[count // 2 :]])
    content = plain.read_bytes()
    path.write_bytes(gzip.compress(content) if form.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("form", _FORMS)
def test_every_position_gives_the_same_items_as_a_whole_read(tmp_path: Path, form: str) -> None:
    file = CandidateFile(_write(tmp_path / f"c.{form}", form, 40), "us", 100)
    whole = list(file.pairs())
    rows = [item.row for item in whole]
    assert rows == sorted(set(rows))
    assert {type(item).__name__ for item in whole} == {"PairRow", "OtherMarketplace", "BadRow"}
    for start_row in range(rows[-1] + 3):
        assert list(file.pairs(start_row)) == [item for item in whole if item.row > start_row]


@pytest.mark.parametrize("form", _FORMS)
def test_positions_across_blocks_and_batches(tmp_path: Path, form: str) -> None:
    file = CandidateFile(_write(tmp_path / f"c.{form}", form, 10_000), "us", 100)
    whole = list(file.pairs())
    assert sum(isinstance(item, Candidate) for item in whole) > 4000
    assert sum(isinstance(item, OtherMarketplace) for item in whole) > 3000
    for start_row in (1, 1000, 4095, 4096, 4097, 9_999, 10_000, 10_001):
        assert list(file.pairs(start_row)) == [item for item in whole if item.row > start_row]
