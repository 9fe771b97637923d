from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_store.errors import InputError
from service.fill.candidates.files import candidate_paths
from service.fill.job import FillJob
from service.fill.target import FillTarget
from tests.support.service.watched_fill import write_candidates


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "candidates"
    for name in ("b.tsv", "a/z.csv.gz", "a/y.parquet", "c.JSONL", "notes.md", ".hidden.tsv", ".git/x.tsv"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return folder


def paths_of(*arguments: Path) -> list[Path]:
    return candidate_paths([str(argument) for argument in arguments], arguments[0].parent / "fills")


def test_files_come_in_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    # Whether they can be read is said when they are read.
    named = [tmp_path / "b.tsv", tmp_path / "a.parquet"]
    assert paths_of(*named) == named


def test_a_folder_stands_for_all_its_files_of_known_forms(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = folder.parent / "first.tsv"
    names = ["a/y.parquet", "a/z.csv.gz", "b.tsv", "c.JSONL"]
    assert paths_of(first, folder) == [first, *(folder / name for name in names)]
    assert capsys.readouterr().err == f"{folder}: files left out, as hidden or of another form: 2\n"


def test_nothing_is_said_of_a_folder_of_which_everything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.tsv").write_text("")
    paths_of(tmp_path)
    assert capsys.readouterr().err == ""


def test_what_fills_wrote_themselves_is_not_read(folder: Path) -> None:
    own = folder / "fills"
    own.mkdir()
    (own / "us.rejected.jsonl").write_text("")
    assert own / "us.rejected.jsonl" not in candidate_paths([str(folder)], own)


@pytest.mark.parametrize("name", ["notes.md", ".hidden.tsv", None])
def test_a_folder_with_nothing_to_read_is_refused(tmp_path: Path, name: str | None) -> None:
    if name:
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match="the folder holds no file to read"):
        paths_of(tmp_path)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_that_leads_out_of_the_folder_is_refused(folder: Path, kind: str) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "o.tsv").write_text("")
    link = folder / "a" / "link.tsv"
    link.symlink_to(outside if kind == "folder" else outside / "o.tsv")
    with pytest.raises(InputError, match=rf"{re.escape(str(link))}: a symbolic link that leads out"):
        paths_of(folder)


def test_a_link_to_a_folder_within_is_not_followed(folder: Path) -> None:
    before = paths_of(folder)
    (folder / "again").symlink_to(folder / "a")
    (folder / "round").symlink_to(folder)
    assert paths_of(folder) == before


def test_a_link_in_a_circle_is_refused(folder: Path) -> None:
    link = folder / "circle.tsv"
    link.symlink_to(link)
    with pytest.raises(InputError, match=r"circle\.tsv: cannot be read"):
        paths_of(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_refused(folder: Path) -> None:
    (folder / "a").chmod(0)
    with pytest.raises(InputError, match="the folder cannot be read"):
        paths_of(folder)
    (folder / "a").chmod(0o700)


def test_a_file_that_is_named_twice_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"b\.tsv: named twice, also as"):
        paths_of(folder, folder / "b.tsv")
    with pytest.raises(InputError, match=r"z\.csv\.gz: named twice"):
        paths_of(folder / "a" / "z.csv.gz", folder / "a" / ".." / "a" / "z.csv.gz")
    with pytest.raises(InputError, match="standard input is named twice"):
        candidate_paths(["-", "-"], folder)


pytestmark = pytest.mark.anyio

_HEADER = "query,product_id,product_title\n"
_ROWS = "".join(f"tea,{number},green tea {number}\n" for number in range(200))


async def refused(target: FillTarget, path: Path, problem: str) -> None:
    before = await FillJob(target, [write_candidates(path.parent / "before.tsv", 5, 3)]).run()
    with pytest.raises(InputError, match=problem):
        await FillJob(target, [path]).run()
    active = await target.cache.generations.active("us")
    assert active is not None
    assert active.number == before.generation


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("c.csv", f'{_HEADER}{_ROWS}tea,x,"24 inch\n{_ROWS}', "row 202: no valid CSV"),
        ("c.csv.gz", f'{_HEADER}{_ROWS}tea,x,"24 inch\n{_ROWS}tea,y,8"\n{_ROWS}', "row 202: no valid CSV"),
        ("c.csv", f'{_HEADER}{_ROWS}tea,x,"cut off', "row 202: no valid CSV"),
        ("c.csv", (_HEADER + _ROWS).replace("\n", "\r"), "row 1: line ends are CR"),
        ("c.tsv", (_HEADER + _ROWS + _ROWS.replace("\n", "\r")).replace(",", "\t"), "row 202: line ends are CR"),
        ("c.csv", f"{_HEADER.strip()},query\n{_ROWS}", "field 'query': the header names this column twice"),
        ("c.csv", (_HEADER + _ROWS).encode("utf-16"), "the file is UTF-16"),
        ("c.tsv.gz", gzip.compress((_HEADER + _ROWS).replace(",", "\t").encode())[:-9], "damaged or cut off"),
    ],
)
async def test_rows_that_cannot_be_told_apart_stop_it(
    target: FillTarget, tmp_path: Path, name: str, content: str | bytes, problem: str
) -> None:
    path = tmp_path / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name == "c.csv.gz" else data)
    await refused(target, path, problem)


@pytest.mark.parametrize("name", ["c.tsv", "c.parquet"])
async def test_a_file_that_changes_stops_it(target: FillTarget, tmp_path: Path, name: str) -> None:
    path = tmp_path / name

    def write(count: int) -> None:
        if name == "c.tsv":
            write_candidates(path, count, 3)
            return
        texts = [str(number) for number in range(count)]
        pq.write_table(pa.table({"query": texts, "id": texts, "title": texts}), path)

    write(200)
    job = FillJob(target, [path])
    write(100)
    with pytest.raises(InputError, match=rf"{name}.*: the file changed while it was read"):
        await job.run()
    assert await target.cache.generations.active("us") is None


async def test_ids_and_missing_values_of_a_data_frame(target: FillTarget, tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    titles = [f"green tea {number}" for number in range(60)]
    columns = {
        "marketplace": pa.array(["US", "us", None] * 20).dictionary_encode(),
        "query": ["tea"] * 60,
        "product_id": pa.array([float(12345 + number) for number in range(59)] + [1.5]),
        "product_title": [*titles[:58], None, "t"],
        "brand": pa.array([float("nan")] * 60),
        "updated": pa.array([1_700_000_000_123_456_789] * 60, pa.timestamp("ns")),
    }
    pq.write_table(pa.table(columns), path)
    report = await FillJob(target, [path]).run()
    assert (report.counts.rows, report.counts.bad_rows, report.counts.other_marketplace_rows) == (60, 2, 0)
    assert report.counts.scored == 58
    found = await target.cache.read("us", "tea")
    assert {product.id for product in found.products} <= {str(12345 + number) for number in range(58)}
