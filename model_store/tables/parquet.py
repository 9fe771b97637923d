"""Parquet files in batches, with their errors in the product's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from model_store.errors import InputError

_BATCH_ROWS = 8_192


def iter_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield (1-based row of the batch's first row, batch); a Parquet file has no header row.

    Args:
        path: the file.
        columns: columns to read; all by default.

    Raises:
        InputError: no such file, no Parquet file, or a missing column; lists the columns there are.
    """
    with parquet_errors(path), pq.ParquetFile(path) as file:
        present = file.schema_arrow.names
        for column in columns or ():
            check_column(column, present, source=str(path))
        first = 1
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            yield first, batch
            first += batch.num_rows


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


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises on the content of `path` into an InputError that names the file."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, UnicodeDecodeError) as error:
        raise InputError(
            f"no readable Parquet file ({error}); write or copy it again", source=str(path)
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", source=str(path)) from error
