"""A user's own table of query-product pairs, labelled for training or unlabelled for prediction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from model_store.errors import InputError
from model_store.product import QueryProductPair
from model_store.tables.columns import ColumnMapping, LabelReader
from model_store.tables.pairs import PairRow, PairTable
from model_store.tables.values import BadRow
from training.data.pairs import RelevancePair

__all__ = ["ColumnMapping", "read_labelled", "read_unlabelled"]

_DEFAULT_MAPPING = ColumnMapping()


def read_labelled(path: Path, mapping: ColumnMapping = _DEFAULT_MAPPING) -> Iterator[tuple[int, RelevancePair]]:
    """Yield (row number, labelled pair) of a CSV, TSV, JSON lines or Parquet file, one row at a time.

    Raises:
        InputError: see `read_unlabelled`; also a missing label column or an unknown label.
    """
    labels = LabelReader(mapping.positive_labels, mapping.negative_labels)
    table = PairTable(path, mapping, labelled=True)
    for item in _pair_rows(table):
        label = labels.read(item.label, source=str(path), row=item.row, field=table.column("label"))
        yield item.row, RelevancePair.of(item.pair, label)


def read_unlabelled(
    path: Path, mapping: ColumnMapping = _DEFAULT_MAPPING
) -> Iterator[tuple[int, QueryProductPair]]:
    """Yield (row number, pair without a label) of a CSV, TSV, JSON lines or Parquet file.

    A label column may be there and is not read. Texts of any accepted length pass whole: the pair encoding
    truncates them by tokens.

    Raises:
        InputError: what `model_store.tables` refuses, a missing column, or a text that `model_store.text`
            refuses (empty query, NUL, lone surrogate); names file, row and column.
    """
    for item in _pair_rows(PairTable(path, mapping)):
        yield item.row, item.pair


def _pair_rows(table: PairTable) -> Iterator[PairRow]:
    empty, source = True, str(table.path)
    for item in table.pairs():
        if isinstance(item, BadRow):
            raise InputError(item.problem, source=source, row=item.row, field=item.field)
        if isinstance(item, PairRow):
            empty = False
            yield item
    if empty:
        raise InputError("the file has no rows; give one with at least one pair", source=source)
