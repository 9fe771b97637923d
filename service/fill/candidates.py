"""Query-product pairs to fill the cache from, streamed out of candidate files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from model_store.text import checked_optional_text, checked_text
from service.fill.table_rows import BadRow, TableFile

COLUMNS: dict[str, tuple[str, ...]] = {
    "query": ("query",),
    "product_id": ("product_id", "id"),
    "product_title": ("product_title", "title"),
    "product_brand": ("product_brand", "brand"),
    "product_color": ("product_color", "color"),
    "product_bullet_points": ("product_bullet_point", "product_bullet_points", "bullet_points"),
    "product_description": ("product_description", "description"),
    "marketplace": ("marketplace", "product_locale"),
}
"""What a column may be called; the first name that the file has counts."""

_REQUIRED = ("query", "product_id", "product_title")


@dataclass(frozen=True, slots=True)
class OtherMarketplace:
    """A row of a marketplace that is not being filled."""

    row: int


class CandidateFile:
    """One candidate file, from which the pairs of one marketplace are taken.

    Rows whose marketplace column is empty, and all rows of a file without one, belong to that marketplace.

    Raises:
        InputError: no such file, an unknown form, or a column is missing.
    """

    def __init__(self, path: Path, marketplace: str, max_text_characters: int) -> None:
        self.path = path
        self._table = TableFile(path)
        self._marketplace = marketplace
        self._limit = max_text_characters
        columns = self._table.columns()
        self._columns = None if columns is None else _chosen_columns(columns, path)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._table.size

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._table.position

    def pairs(self) -> Iterator[QueryProductPair | OtherMarketplace | BadRow]:
        """One item for each row.

        Raises:
            InputError: the file is damaged or cut off.
        """
        for record in self._table.rows():
            yield record if isinstance(record, BadRow) else self._pair(*record)

    def _pair(self, row: int, record: Mapping[str, str]) -> QueryProductPair | OtherMarketplace | BadRow:
        columns = self._columns or _present_columns(record)
        values = {name: record[column] for name, column in columns.items()}
        marketplace = values.get("marketplace", "").strip() or self._marketplace
        if marketplace != self._marketplace:
            return OtherMarketplace(row)
        try:
            return QueryProductPair(marketplace, self._required(values, "query"), self._product(values))
        except InputError as error:
            return BadRow(row, error.problem, error.field)

    def _product(self, values: Mapping[str, str]) -> Product:
        return Product(
            id=self._required(values, "product_id"),
            title=self._required(values, "product_title"),
            brand=self._optional(values, "product_brand"),
            color=self._optional(values, "product_color"),
            bullet_points=self._optional(values, "product_bullet_points"),
            description=self._optional(values, "product_description"),
        )

    def _required(self, values: Mapping[str, str], name: str) -> str:
        if name not in values:
            raise InputError("the row does not have this field", field=name)
        return checked_text(self._limited(values[name], name), field=name)

    def _optional(self, values: Mapping[str, str], name: str) -> str:
        return checked_optional_text(self._limited(values.get(name, ""), name), field=name)

    def _limited(self, value: str, name: str) -> str:
        if len(value) > self._limit:
            raise InputError(
                f"the text has {len(value)} characters; at most {self._limit} are accepted", field=name
            )
        return value


def _present_columns(names: Collection[str]) -> dict[str, str]:
    chosen = {}
    for name, aliases in COLUMNS.items():
        found = [alias for alias in aliases if alias in names]
        if found:
            chosen[name] = found[0]
    return chosen


def _chosen_columns(names: Sequence[str], path: Path) -> dict[str, str]:
    chosen = _present_columns(names)
    for name in _REQUIRED:
        if name not in chosen:
            raise InputError(
                f"there is no such column (nor {' or '.join(COLUMNS[name][1:]) or 'another name for it'}); "
                f"the file has {', '.join(names)[:200]}",
                source=str(path),
                row=1,
                field=name,
            )
    return chosen
