"""Query-product pairs to fill the cache from, streamed out of candidate files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from model_store.text import checked_optional_text, checked_text, text_problem
from service.fill.bad_row import BadRow
from service.fill.table_rows import TableFile
from service.fill.text_rows import Values

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
class Candidate:
    """A pair to be scored, with the number of its row."""

    row: int
    pair: QueryProductPair


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
        self._table = TableFile(path, tuple(COLUMNS.values()))
        self._marketplace = marketplace
        self._limit = max_text_characters
        columns = self._table.columns()
        if columns is not None:
            _check_required(columns, path)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._table.size

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._table.position

    def pairs(self, start_row: int = 0) -> Iterator[Candidate | OtherMarketplace | BadRow]:
        """One item for each row behind row number `start_row`; the items do not depend on where reading starts.

        Raises:
            InputError: the file is damaged or cut off.
        """
        for record in self._table.rows(start_row):
            yield record if isinstance(record, BadRow) else self._item(*record)

    def _item(self, row: int, values: Values) -> Candidate | OtherMarketplace | BadRow:
        query, product_id, title, brand, color, bullet_points, description, marketplace = values
        if marketplace and marketplace.strip() not in ("", self._marketplace):
            return OtherMarketplace(row)
        # In the common case one look at the whole row shows that every text of it may be accepted.
        if not (query and product_id and title and self._acceptable("\t".join(filter(None, values)))):
            return self._item_of_checked_texts(row, values)
        product = Product(
            product_id.strip(),
            title.strip(),
            brand.strip() if brand else "",
            color.strip() if color else "",
            bullet_points.strip() if bullet_points else "",
            description.strip() if description else "",
        )
        pair = QueryProductPair(self._marketplace, query.strip(), product)
        if pair.query and product.id and product.title:
            return Candidate(row, pair)
        return self._item_of_checked_texts(row, values)

    def _acceptable(self, texts: str) -> bool:
        return len(texts) <= self._limit and text_problem(texts) is None

    def _item_of_checked_texts(self, row: int, values: Values) -> Candidate | BadRow:
        texts = dict(zip(COLUMNS, values, strict=True))
        try:
            query = self._required(texts, "query")
            product = Product(
                id=self._required(texts, "product_id"),
                title=self._required(texts, "product_title"),
                brand=self._optional(texts, "product_brand"),
                color=self._optional(texts, "product_color"),
                bullet_points=self._optional(texts, "product_bullet_points"),
                description=self._optional(texts, "product_description"),
            )
            return Candidate(row, QueryProductPair(self._marketplace, query, product))
        except InputError as error:
            return BadRow(row, error.problem, error.field)

    def _required(self, texts: Mapping[str, str | None], name: str) -> str:
        text = texts[name]
        if text is None:
            raise InputError("the row does not have this field", field=name)
        return checked_text(self._limited(text, name), field=name)

    def _optional(self, texts: Mapping[str, str | None], name: str) -> str:
        return checked_optional_text(self._limited(texts[name] or "", name), field=name)

    def _limited(self, value: str, name: str) -> str:
        if len(value) > self._limit:
            raise InputError(
                f"the text has {len(value)} characters; at most {self._limit} are accepted", field=name
            )
        return value


def _check_required(names: Sequence[str], path: Path) -> None:
    for name in _REQUIRED:
        if not set(COLUMNS[name]).intersection(names):
            raise InputError(
                f"there is no such column (nor {' or '.join(COLUMNS[name][1:]) or 'another name for it'}); "
                f"the file has {', '.join(names)[:200]}",
                source=str(path),
                row=1,
                field=name,
            )
