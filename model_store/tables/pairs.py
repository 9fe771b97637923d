"""Query-product pairs out of a table: what training, prediction and the fill read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from model_store.tables.columns import ColumnMapping
from model_store.tables.lines import FileStamp
from model_store.tables.rows import TableFile
from model_store.tables.values import BadRow, Column, Values
from model_store.text import (
    MAX_TEXT_CHARACTERS,
    VISIBLE,
    checked_marketplace,
    checked_optional_text,
    checked_text,
    is_blank,
)

_REQUIRED = ("query", "product_id", "product_title")
_OPTIONAL = ("product_brand", "product_color", "product_bullet_points", "product_description")
_FIELDS = (*_REQUIRED, *_OPTIONAL, "marketplace", "label")
_MARKETPLACE, _LABEL = _FIELDS.index("marketplace"), _FIELDS.index("label")
_NO_MAPPING = ColumnMapping()
_MOST_REMEMBERED = 1_000


class PairRow(NamedTuple):
    """A pair with the number of its row, and the text of its label where labels are read."""

    row: int
    pair: QueryProductPair
    label: str = ""


@dataclass(frozen=True, slots=True)
class OtherMarketplace:
    """A row of a marketplace that is not wanted."""

    row: int


class PairTable:
    """One table, whose rows are pairs.

    Args:
        path: the file.
        mapping: which column is what; by default the names of `KNOWN_NAMES` are looked for.
        only: the marketplace that is wanted: rows that name none are its rows, and so are all rows of a file
            without such a column. None wants all, and each row has to name its own.
        labelled: whether each row has to have a label.
        max_text_characters: longer texts are refused.
        stamp: as in `TableFile`.

    Raises:
        InputError: as `TableFile`, or a column is missing.
    """

    def __init__(
        self,
        path: Path,
        mapping: ColumnMapping = _NO_MAPPING,
        *,
        only: str | None = None,
        labelled: bool = False,
        max_text_characters: int = MAX_TEXT_CHARACTERS,
        stamp: FileStamp | None = None,
    ) -> None:
        self.path = path
        self._source = str(path)
        self._limit = min(max_text_characters, MAX_TEXT_CHARACTERS)
        self._only = only if only is None else checked_marketplace(only, source=self._source)
        self._labelled = labelled
        for_all = mapping.marketplace
        # Whose rows are those that name no marketplace.
        self._unnamed = self._only if for_all is None else checked_marketplace(for_all, source=self._source)
        # A label that is not asked for may be there, and whatever it holds does not matter.
        fields = _FIELDS if labelled else _FIELDS[:_LABEL]
        columns = [Column(mapping.names_of(field), is_id=field == "product_id") for field in fields]
        # A column that a mapping names is meant to be there.
        self._required = [
            field
            for field in fields
            if field in (*_REQUIRED, "label")
            or mapping.named(field) is not None
            or (field == "marketplace" and self._unnamed is None)
        ]
        if for_all is not None:
            columns[_MARKETPLACE] = Column(())
        self._table = TableFile(path, columns, stamp=stamp)
        self._columns = columns
        self._places = {field: _FIELDS.index(field) for field in self._required}
        # What cells say, most files having few of them.
        self._marketplaces: dict[str, str] = {}
        self._others: set[str] = set()
        if self._table.header is not None:
            self._check_columns(self._table.header)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._table.size

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._table.position

    def check_unchanged(self) -> None:
        """As in `TableFile`."""
        self._table.check_unchanged()

    def pairs(self, start_row: int = 0) -> Iterator[PairRow | OtherMarketplace | BadRow]:
        """One item for each row behind row number `start_row`; the items do not depend on where reading starts.

        Raises:
            InputError: as `TableFile.rows`.
        """
        # A fill reads millions of rows, none of them with a label.
        item_of = self._checked if self._labelled else self._item
        for record in self._table.rows(start_row):
            yield record if isinstance(record, BadRow) else item_of(*record)

    def _item(self, row: int, values: Values) -> PairRow | OtherMarketplace | BadRow:
        query, product_id, title, brand, color, bullet_points, description, named = values
        marketplace = self._marketplaces.get(named) if named else self._unnamed
        if marketplace is None:
            return OtherMarketplace(row) if named in self._others else self._checked(row, values)
        # In the common case one look at the whole row shows that every text of it may be accepted.
        if not (query and product_id and title and self._are_acceptable(values)):
            return self._checked(row, values)
        product = Product(
            product_id.strip(),
            title.strip(),
            brand.strip() if brand else "",
            color.strip() if color else "",
            bullet_points.strip() if bullet_points else "",
            description.strip() if description else "",
        )
        query = query.strip()
        if not (query and product.id and product.title):
            return self._checked(row, values)
        return PairRow(row, QueryProductPair(marketplace, query, product))

    def _are_acceptable(self, values: Values) -> bool:
        """Whether `checked_text` would accept every text that is not empty."""
        texts = "\t".join(filter(None, values))
        if len(texts) > self._limit or "\0" in texts:
            return False
        if texts.isascii():
            return True
        try:
            # Three times as fast as to search for lone surrogates.
            texts.encode()
        except UnicodeEncodeError:
            return False
        unseen = [text for text in values if text and not text.isascii() and not VISIBLE.search(text)]
        return not unseen

    def _marketplace(self, named: str) -> str | OtherMarketplace | BadRow:
        """The marketplace that a cell names, or why it names none that is wanted."""
        if self._unnamed is not None and is_blank(named):
            return self._unnamed
        try:
            name = checked_marketplace(checked_text(named, field="marketplace"))
        except InputError as error:
            return BadRow(0, error.problem)
        if name != (self._only or name):
            if len(self._others) < _MOST_REMEMBERED:
                self._others.add(named)
            return OtherMarketplace(0)
        if len(self._marketplaces) < _MOST_REMEMBERED:
            self._marketplaces[named] = name
        return name

    def _checked(self, row: int, values: Values) -> PairRow | OtherMarketplace | BadRow:
        """The same text by text, which says what is wrong with which."""
        marketplace = self._marketplace(values[_MARKETPLACE] or "")
        if isinstance(marketplace, BadRow):
            return BadRow(row, marketplace.problem, self.column("marketplace"))
        if isinstance(marketplace, OtherMarketplace):
            return OtherMarketplace(row)
        for field, place in self._places.items():
            if values[place] is None:
                return BadRow(row, "the row does not have this field", self.column(field))
        try:
            query, product_id, title = (self._text(values, place) for place in range(len(_REQUIRED)))
            brand, color, bullet_points, description = (
                self._optional_text(values, _FIELDS.index(field)) for field in _OPTIONAL
            )
        except InputError as error:
            return BadRow(row, error.problem, error.field)
        product = Product(product_id, title, brand, color, bullet_points, description)
        label = (values[_LABEL] or "") if self._labelled else ""
        return PairRow(row, QueryProductPair(marketplace, query, product), label)

    def _text(self, values: Values, place: int) -> str:
        name = self.column(_FIELDS[place])
        return checked_text(self._limited(values[place] or "", name), field=name)

    def _optional_text(self, values: Values, place: int) -> str:
        name = self.column(_FIELDS[place])
        return checked_optional_text(self._limited(values[place] or "", name), field=name)

    def _limited(self, value: str, name: str) -> str:
        if len(value) > self._limit:
            raise InputError(
                f"the text has {len(value)} characters; at most {self._limit} are accepted", field=name
            )
        return value

    def column(self, field: str) -> str:
        """What the file calls a field, as far as it is known."""
        place = _FIELDS.index(field)
        return self._table.names[place] or self._columns[place].name

    def _check_columns(self, header: list[str]) -> None:
        for field in self._required:
            place = _FIELDS.index(field)
            if self._table.names[place] is not None:
                continue
            names, remedy = self._columns[place].names, "rename one, or name it in a column mapping"
            if any(name.startswith('"') for name in header):
                remedy = "leave out the quotation marks"
            raise InputError(
                f"the column {' or '.join(names)!r} is missing; the file has {', '.join(header)[:200]}; {remedy}",
                source=self._source,
                row=1,
                field=names[0],
            )
