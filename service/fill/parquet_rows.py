"""Rows of a Parquet file: only the wanted columns, converted many rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.fill.bad_row import BadRow
from service.fill.text_rows import ABSENT, Rows, text_of

_BATCH_ROWS = 4096
_BUFFER_BYTES = 1 << 20


def opened_parquet(path: Path) -> pq.ParquetFile:
    """The file, of which a part of each column is in memory, however large its row groups are."""
    return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)


def batches_after(
    file: pq.ParquetFile, columns: Sequence[str], start_row: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches of these columns behind row number `start_row`, each with the number of its first row.

    Whole row groups before it are not read.
    """
    counts = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    row = group = 0
    while group < len(counts) and row + counts[group] <= start_row:
        row += counts[group]
        group += 1
    groups = list(range(group, len(counts)))
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups, columns=list(columns)):
        skipped = min(max(start_row - row, 0), batch.num_rows)
        if skipped < batch.num_rows:
            yield row + skipped + 1, batch.slice(skipped)
        row += batch.num_rows


def batch_rows(first_row: int, batch: pa.RecordBatch, columns: Sequence[str | None]) -> Rows:
    """The batch's rows with the values of these columns, None for an absent one."""
    places = [ABSENT if name is None else batch.schema.get_all_field_indices(name)[-1] for name in columns]
    rows = range(first_row, first_row + batch.num_rows)
    try:
        values = [repeat(None) if place == ABSENT else _texts(batch.column(place)) for place in places]
    except ValueError:
        return (_row_by_cells(row, batch, place, places) for place, row in enumerate(rows))
    return zip(rows, zip(*values, strict=False), strict=False)


def _texts(column: pa.Array) -> Iterable[str]:
    if column.null_count or not _holds_texts(column.type):
        return map(text_of, column.to_pylist())
    texts: list[str] = column.to_pylist()
    return texts


def _holds_texts(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))


def _row_by_cells(
    row: int, batch: pa.RecordBatch, place: int, places: Sequence[int]
) -> tuple[int, tuple[str | None, ...]] | BadRow:
    values: list[str | None] = []
    for column in places:
        try:
            values.append(None if column == ABSENT else text_of(batch.column(column)[place].as_py()))
        except UnicodeDecodeError as error:
            problem = f"the text is not UTF-8 ({error.reason} at byte {error.start})"
            return BadRow(row, problem, batch.schema.names[column])
        except ValueError as error:
            return BadRow(row, f"the value cannot be written as text ({error})", batch.schema.names[column])
    return row, tuple(values)
