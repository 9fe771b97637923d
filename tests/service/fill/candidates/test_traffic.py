from __future__ import annotations

import math
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_store.errors import ConfigurationError, InputError
from model_store.query_normalisation import normalised_query
from service.fill.candidates.traffic import HeadAndTorso, TrafficFile

ROWS = [("rare", 5), ("head", 60), ("never", 0), ("torso", 20), ("tail", 15)]


def write_counts(path: Path, counts: list[tuple[str, int]]) -> Path:
    path.write_text("query\tcount\n" + "".join(f"{query}\t{count}\n" for query, count in counts))
    return path


def chosen_of(path: Path, coverage: float, *queries: str) -> list[str]:
    head = HeadAndTorso.read(path, "us", coverage)
    return [query for query in queries if head.contains(query)]


def expected(counts: dict[str, int], coverage: float) -> set[str]:
    """The rule in its plainest form."""
    needed, chosen = coverage * sum(counts.values()), set[str]()
    for query, count in sorted(counts.items(), key=lambda item: (-item[1], item[0].encode())):
        if sum(counts[other] for other in chosen) >= needed - 1e-6:
            break
        if count:
            chosen.add(query)
    return chosen


def test_the_most_frequent_queries_are_chosen_until_the_share_is_reached(tmp_path: Path) -> None:
    path = write_counts(
        tmp_path / "t.tsv", [("rare", 5), ("head", 60), ("never", 0), ("torso", 20), ("tail", 15)]
    )
    head = HeadAndTorso.read(path, "us", 0.8)
    queries = ["head", "torso", "tail", "rare", "never", "unseen"]
    assert [query for query in queries if head.contains(query)] == ["head", "torso"]
    assert head.report.model_dump() == {
        "file": str(path),
        "coverage": 0.8,
        "share": 0.8,
        "queries": 5,
        "chosen_queries": 2,
        "left_out_queries": 3,
        "traffic": 100,
        "chosen_traffic": 80,
        "left_out_traffic": 20,
    }
    assert chosen_of(path, 0.81, *queries) == ["head", "torso", "tail"]
    assert chosen_of(path, 1, *queries) == ["head", "torso", "tail", "rare"]


def test_spellings_of_a_query_are_one(tmp_path: Path) -> None:
    path = write_counts(tmp_path / "t.tsv", [("USB  C", 3), ("tea", 5), (" usb c ", 3)])
    head = HeadAndTorso.read(path, "us", 0.5)
    assert head.contains(normalised_query("Usb C"))
    assert (head.report.queries, head.report.chosen_traffic) == (2, 6)


def test_a_share_is_meant_as_it_is_written(tmp_path: Path) -> None:
    # 0.07 * 100 is 7.000000000000001 for a computer.
    path = write_counts(tmp_path / "t.tsv", [("a", 7), ("b", 5), *((f"c{n}", 4) for n in range(22))])
    assert HeadAndTorso.read(path, "us", 0.07).report.chosen_queries == 1


@pytest.mark.parametrize("seed", range(5))
def test_ties_are_settled_by_the_query_whatever_the_order_of_rows(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    letters = "abz é日\U0001f600"
    texts = {normalised_query("same start, " * rng.randrange(4) + rng.choice(letters) * rng.randrange(1, 30))}
    texts |= {normalised_query("x" + "".join(rng.choices(letters, k=rng.randrange(12)))) for _ in range(400)}
    counts = {text: rng.randrange(4) for text in texts}
    rows = list(counts.items()) * 2
    fingerprints = set()
    for coverage in (0.3, 0.55, 0.9, 1.0):
        rng.shuffle(rows)
        head = HeadAndTorso.read(write_counts(tmp_path / "t.tsv", rows), "us", coverage)
        assert {text for text in texts if head.contains(text)} == expected(counts, coverage)
        again = HeadAndTorso.read(write_counts(tmp_path / "t.tsv", rows[::-1]), "us", coverage)
        assert again.fingerprint == head.fingerprint
        fingerprints.add(head.fingerprint)
    assert len(fingerprints) == 4


def test_only_the_marketplace_counts(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = {"query": ["té", "tea", "any"], "count": [90, 5, 5], "marketplace": ["es", "us", None]}
    pq.write_table(pa.table(table), path)
    head = HeadAndTorso.read(path, "us", 1)
    assert (head.report.traffic, head.contains("té"), head.contains("any")) == (10, False, True)
    with pytest.raises(InputError, match=r"t\.parquet: there is no traffic of 'jp'"):
        HeadAndTorso.read(write_table_of(tmp_path, "es"), "jp", 1)


def test_case_does_not_matter_and_what_is_no_marketplace_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("query\tcount\tlocale\ntea\t5\tUS\nmate\t3\t us \nsake\t2\tJP\n\u200bTea\t4\t\n")
    head = HeadAndTorso.read(path, "US", 1)
    assert (head.report.traffic, head.report.queries) == (12, 2)
    path.write_text("query\tcount\tlocale\ntea\t5\tthe USA\n")
    with pytest.raises(InputError, match=r"row 2, field 'marketplace': 'the USA' is no marketplace name"):
        HeadAndTorso.read(path, "us", 1)


def test_a_file_that_changes_between_two_readings_is_refused(tmp_path: Path) -> None:
    file = TrafficFile(write_counts(tmp_path / "t.tsv", ROWS), "us")
    assert list(file.rows()) == ROWS
    write_counts(tmp_path / "t.tsv", ROWS[1:])
    with pytest.raises(InputError, match=r"t\.tsv: the file changed while it was read"):
        list(file.rows())


def write_table_of(folder: Path, marketplace: str) -> Path:
    path = folder / "other" / "t.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"query": ["q"], "count": [1], "product_locale": [marketplace]}), path)
    return path


@pytest.mark.parametrize("count", ["-1", "1.5", "", "many", "1e3", "²", "1" * 16])
def test_a_count_that_is_none_names_its_row(tmp_path: Path, count: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(f"query\tcount\nfine\t1\ntea\t{count}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"t\.tsv, row 3, field 'count': .* is no count"):
        HeadAndTorso.read(path, "us", 0.8)


@pytest.mark.parametrize(
    "line", ['{"query": " ", "count": 1}', '{"count": 1}', '{"query": "a\\u0000", "count": 1}']
)
def test_a_query_that_is_none_names_its_row(tmp_path: Path, line: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"query": "tea", "count": 1}\n' + line + "\n")
    with pytest.raises(InputError, match=r"t\.jsonl, row 2, field 'query'"):
        HeadAndTorso.read(path, "us", 0.8)


def test_a_row_that_cannot_be_read_and_a_missing_column_are_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('query,count\ntea,1\n"b"x,2\n')
    with pytest.raises(InputError, match=r"t\.csv, row 3: no valid CSV"):
        HeadAndTorso.read(path, "us", 0.8)
    path.write_text("query,visits\ntea,1\n")
    with pytest.raises(InputError, match=r"t\.csv, row 1, field 'count': there is no such column"):
        HeadAndTorso.read(path, "us", 0.8)


def test_counts_too_large_to_add_and_no_share_are_refused(tmp_path: Path) -> None:
    path = write_counts(tmp_path / "t.tsv", [(f"q{n}", 10**15 - 1) for n in range(9300)])
    with pytest.raises(InputError, match="exceed"):
        HeadAndTorso.read(path, "us", 0.8)
    with pytest.raises(ConfigurationError, match="--coverage"):
        HeadAndTorso.read(path, "us", math.nan)


def test_many_queries_in_several_parts_are_summed(tmp_path: Path) -> None:
    # More rows than are gathered before they are merged, each query in several parts.
    rows = [(f"q{n % 60_000}", 1 + (n % 60_000 < 100)) for n in range(300_000)]
    head = HeadAndTorso.read(write_counts(tmp_path / "t.tsv", rows), "us", 0.0033)
    assert head.report.queries == 60_000
    assert head.report.traffic == 300_500
    assert head.report.chosen_queries == 100
    assert all(head.contains(f"q{n}") for n in range(100))
