"""Parquet files: only the wanted columns, many rows at once, with errors in the product's words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from model_store.errors import InputError
from model_store.tables.lines import FileStamp, reported
from model_store.tables.values import WHOLE_BELOW, BadRow, Column, Rows, Values

_BATCH_ROWS = 4096
_BUFFER_BYTES = 1 << 20
_WHOLE_BELOW = {pa.float16(): 2.0**11, pa.float32(): 2.0**24}
"""Up to here smaller floats tell all whole numbers apart."""

_NO_TEXT = (ValueError, TypeError, KeyError, OverflowError, ImportError, pa.ArrowException)
"""What values raise that Python does not have: nanoseconds, the year 10000, time zones that it does not know."""


def parquet_names(path: Path) -> list[str]:
    """Names of the columns of the file.

    Raises:
        ArrowException, OSError: it is no Parquet file.
    """
    return list(pq.read_schema(path).names)


def parquet_rows(
    path: Path, stamp: FileStamp, columns: Sequence[Column], names: Sequence[str | None], start_row: int
) -> Iterator[tuple[float, Rows]]:
    """The rows behind row number `start_row`, many at once, each time with the share of the file read.

    Whole row groups before them are not read, and of a row group a part of each column is in memory at a time.

    Args:
        names: for each wanted column what the file calls it, None where it has none.
    """
    with pa.OSFile(str(path)) as raw:
        stamp.check(path, raw.fileno())
        with pq.ParquetFile(raw, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            rows = max(file.metadata.num_rows, 1)
            wanted = [name for name in names if name is not None]
            for first, batch in _batches(file, wanted, start_row):
                last = first - 1 + batch.num_rows
                yield last / rows, _batch_rows(first, batch, columns, names)
        stamp.check(path, raw.fileno())


def iter_batches(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield (1-based row of the batch's first row, batch); a Parquet file has no header row.

    Args:
        path: the file.
        columns: columns to read.

    Raises:
        InputError: no such file, no Parquet file, or a missing column; lists the columns there are.
    """
    with reported(path), pq.ParquetFile(path) as file:
        present = file.schema_arrow.names
        for column in columns:
            check_column(column, present, source=str(path))
        yield from _batches(file, columns, 0)


def batch_texts(first_row: int, batch: pa.RecordBatch, columns: Sequence[Column]) -> Rows:
    """The batch's rows with the texts of columns that it has under their first names."""
    return _batch_rows(first_row, batch, columns, [column.name for column in columns])


def check_column(column: str, present: Sequence[str], *, source: str) -> None:
    """Refuse a file without `column`.

    Raises:
        InputError: names the file and the column, and lists the columns there are.
    """
    if column not in present:
        raise InputError(
            f"the column is missing; the file has {', '.join(present) or 'no columns'}",
            source=source,
            field=column,
        )


def _batches(
    file: pq.ParquetFile, columns: Sequence[str], start_row: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
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


def _batch_rows(
    first_row: int, batch: pa.RecordBatch, columns: Sequence[Column], names: Sequence[str | None]
) -> Rows:
    rows = range(first_row, first_row + batch.num_rows)
    cells = [None if name is None else batch.column(name) for name in names]
    try:
        texts = [
            repeat(None) if cell is None else _texts(cell, column)
            for cell, column in zip(cells, columns, strict=True)
        ]
    except _NO_TEXT:
        return (_row_by_cells(row, place, cells, columns, names) for place, row in enumerate(rows))
    return zip(rows, zip(*texts, strict=False), strict=False)


def _texts(cells: pa.Array, column: Column) -> Iterable[str]:
    kind = cells.type
    if isinstance(kind, pa.BaseExtensionType):
        return _texts(cells.storage, column) if pa.types.is_string(kind.storage_type) else _each(cells, column)
    if _holds_texts(kind) and not cells.null_count:
        texts: list[str] = cells.to_pylist()
        return texts
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return _each(cells.cast(pa.string()), column)
    return _each(cells, column)


def _each(cells: pa.Array, column: Column) -> list[str]:
    limit = _WHOLE_BELOW.get(cells.type, WHOLE_BELOW)
    return [value if type(value) is str else column.text(value, limit) for value in cells.to_pylist()]


def _holds_texts(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))


def _row_by_cells(
    row: int,
    place: int,
    cells: Sequence[pa.Array | None],
    columns: Sequence[Column],
    names: Sequence[str | None],
) -> tuple[int, Values] | BadRow:
    values: list[str | None] = []
    for cell, column, name in zip(cells, columns, names, strict=True):
        try:
            values.append(None if cell is None else _only(_texts(cell.slice(place, 1), column)))
        except UnicodeDecodeError as error:
            return BadRow(row, f"the text is not UTF-8 ({error.reason} at byte {error.start})", name)
        except _NO_TEXT as error:
            return BadRow(row, f"the value cannot be written as text ({_first_line(error)})", name)
    return row, tuple(values)


def _only(texts: Iterable[str]) -> str:
    (text,) = texts
    return text


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
