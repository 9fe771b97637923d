"""A fill never ends well on input that it has not read whole and understood: readers see what they saw before."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_store.errors import InputError
from service.fill.job import FillJob
from service.fill.target import FillTarget
from tests.support.service.candidate_files import write_candidates

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
