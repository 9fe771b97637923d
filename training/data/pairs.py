"""A labelled query-product pair, which every reader gives and every stage takes, and files of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model_store.errors import InputError
from model_store.files import replaced_path
from model_store.product import Product, QueryProductPair
from model_store.query_normalisation import normalised_query
from model_store.tables.lines import iter_lines


@dataclass(frozen=True, slots=True)
class RelevancePair:
    """One judged pair. `label` is 1 for relevant (ESCI: E, S) and 0 for not relevant (C, I)."""

    marketplace: str
    query: str
    product_id: str
    product_title: str
    label: int
    product_brand: str = ""
    product_color: str = ""
    product_bullet_points: str = ""
    product_description: str = ""

    @classmethod
    def of(cls, pair: QueryProductPair, label: int) -> RelevancePair:
        """The labelled form of a pair."""
        return cls(marketplace=pair.marketplace, query=pair.query, label=label, **pair.product.flat())

    @property
    def product(self) -> Product:
        """The product alone, as the pair encoding takes it."""
        return Product.of_row(self)

    def unlabelled(self) -> QueryProductPair:
        """The pair without its label, as a scorer takes it."""
        return QueryProductPair(self.marketplace, self.query, self.product)

    def with_texts(self, query: str, product: Product, marketplace: str) -> RelevancePair:
        """The same judgement in other words: a translation into `marketplace`'s language."""
        return RelevancePair.of(QueryProductPair(marketplace, query, product), self.label)


def contradictions(pairs: Iterable[RelevancePair]) -> int:
    """How many products are relevant to a query in one row and not in another, spellings of a query being one."""
    labels: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
    for pair in pairs:
        labels[pair.marketplace, normalised_query(pair.query), pair.product_id].add(pair.label)
    return sum(len(found) > 1 for found in labels.values())


_PAIR = TypeAdapter(RelevancePair)


def write_pairs(path: Path, pairs: Iterable[RelevancePair]) -> None:
    """Write `pairs` as JSON lines; a reader sees the old file or the whole new one.

    Raises:
        InputError: a text holds a lone surrogate, which UTF-8 cannot carry; nothing is written.
    """
    with replaced_path(path) as temporary, temporary.open("xb") as file:
        file.writelines(_line_of(pair, source=str(path), row=row) for row, pair in enumerate(pairs, start=1))


def read_pairs(path: Path) -> list[RelevancePair]:
    """Read what `write_pairs` wrote, character by character the same.

    Raises:
        InputError: no such file, not UTF-8, or a line that is no pair; names file, row and field.
    """
    return [_pair_of(line, source=str(path), row=row) for row, line in iter_lines(path)]


def _line_of(pair: RelevancePair, *, source: str, row: int) -> bytes:
    text = json.dumps(asdict(pair), ensure_ascii=False)
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError as error:
        raise InputError(
            "a text contains a lone surrogate and cannot be stored; decode the data with its real encoding",
            source=source,
            row=row,
        ) from error


def _pair_of(line: str, *, source: str, row: int) -> RelevancePair:
    try:
        pair = _PAIR.validate_json(line, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else None
        raise InputError(
            f"no stored pair ({first['msg']}); write the file again with this program",
            source=source,
            row=row,
            field=field,
        ) from error
    if pair.label not in (0, 1):
        raise InputError(
            f"the label is {pair.label}; only 0 and 1 are stored", source=source, row=row, field="label"
        )
    return pair
