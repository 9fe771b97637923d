"""A user's own table of query-product pairs, labelled for training or unlabelled for prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from model_store.tables.columns import KNOWN_NAMES, ColumnMapping
from model_store.tables.labels import LabelReader
from model_store.tables.rows import Row, iter_rows
from model_store.text import checked_marketplace, checked_optional_text, checked_text
from training.data.pairs import RelevancePair

__all__ = ["ColumnMapping", "iter_rows", "read_labelled", "read_unlabelled"]

_DEFAULT_MAPPING = ColumnMapping()
_REQUIRED = ("query", "product_id", "product_title")
_OPTIONAL = ("product_brand", "product_color", "product_bullet_points", "product_description")


def read_labelled(path: Path, mapping: ColumnMapping = _DEFAULT_MAPPING) -> Iterator[tuple[int, RelevancePair]]:
    """Yield (row number, labelled pair) of a CSV, TSV, JSON lines or Parquet file, one row at a time.

    Raises:
        InputError: see `read_unlabelled`; also a missing label column or an unknown label.
    """
    labels = LabelReader(mapping.positive_labels, mapping.negative_labels)
    for cells in _mapped_rows(path, mapping):
        column = cells.column("label")
        label = labels.read(cells.values[column], source=cells.source, row=cells.row, field=column)
        yield cells.row, RelevancePair.of(cells.pair(), label)


def read_unlabelled(
    path: Path, mapping: ColumnMapping = _DEFAULT_MAPPING
) -> Iterator[tuple[int, QueryProductPair]]:
    """Yield (row number, pair without a label) of a CSV, TSV, JSON lines or Parquet file.

    A label column may be there and is not read. Texts of any accepted length pass whole: the pair encoding
    truncates them by tokens.

    Raises:
        InputError: what `iter_rows` refuses, a missing column, or a text that `model_store.text` refuses
            (empty query, NUL, lone surrogate); names file, row and column.
    """
    for cells in _mapped_rows(path, mapping):
        yield cells.row, cells.pair()


@dataclass(frozen=True, slots=True)
class _Cells:
    """One row, and where each field of a pair stands in it."""

    source: str
    row: int
    values: dict[str, str]
    columns: dict[str, str]
    marketplace: str | None

    def pair(self) -> QueryProductPair:
        query, product_id, title = (self._required(field) for field in _REQUIRED)
        brand, color, bullet_points, description = (self._optional(field) for field in _OPTIONAL)
        product = Product(product_id, title, brand, color, bullet_points, description)
        return QueryProductPair(self._marketplace(), query, product)

    def column(self, field: str) -> str:
        column = self.columns.get(field)
        if column is None or column not in self.values:
            raise InputError(
                f"the column {column or ' or '.join(KNOWN_NAMES[field])!r} is missing; the file has "
                f"{', '.join(self.values)}; name the right one in a column mapping",
                source=self.source,
                row=self.row,
                field=field,
            )
        return column

    def _required(self, field: str) -> str:
        column = self.column(field)
        return checked_text(self.values[column], field=column, source=self.source, row=self.row)

    def _optional(self, field: str) -> str:
        column = self.columns.get(field)
        if column is None:
            return ""
        value = self.values[self.column(field)]
        return checked_optional_text(value, field=column, source=self.source, row=self.row)

    def _marketplace(self) -> str:
        name = self.marketplace or self._required("marketplace").lower()
        return checked_marketplace(name, source=self.source, row=self.row)


def _mapped_rows(path: Path, mapping: ColumnMapping) -> Iterator[_Cells]:
    present: Iterable[str] = ()
    columns: dict[str, str] = {}
    for row, values in _rows_or_error(path):
        # Rows of JSON lines need not have the same names.
        if values.keys() != present:
            present = values.keys()
            columns = _columns_of(mapping, values)
        yield _Cells(str(path), row, values, columns, mapping.marketplace)


def _rows_or_error(path: Path) -> Iterator[Row]:
    empty = True
    for row in iter_rows(path):
        empty = False
        yield row
    if empty:
        raise InputError("the file has no rows; give one with at least one pair", source=str(path))


def _columns_of(mapping: ColumnMapping, values: dict[str, str]) -> dict[str, str]:
    found = ((field, mapping.column_of(field, values)) for field in KNOWN_NAMES)
    return {field: column for field, column in found if column is not None}
