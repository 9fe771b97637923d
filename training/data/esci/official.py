"""The official Parquet folder of the Shopping Queries Dataset: two files, joined on locale and product id.

The products file has 1.8 million rows with long descriptions: both files are read in batches and filtered
as they come, so that memory holds only what is joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from model_store.tables.columns import ESCI_NEGATIVE, ESCI_POSITIVE, LabelReader
from model_store.tables.lines import reported
from model_store.tables.parquet import batch_texts, iter_batches
from model_store.tables.values import BadRow, Column
from model_store.text import checked_optional_text, checked_text
from training.data.pairs import RelevancePair

EXAMPLES = "shopping_queries_dataset_examples.parquet"
PRODUCTS = "shopping_queries_dataset_products.parquet"

_OPTIONAL = ("product_brand", "product_color", "product_bullet_point", "product_description")
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Example:
    """A judged row before its product is known; the key is (locale, product id)."""

    row: int
    query: str
    key: _Key
    label: int


def is_official(path: Path) -> bool:
    """Whether `path` is a folder that has the examples file under its official name."""
    return (path / EXAMPLES).is_file()


def official_locales(folder: Path) -> list[str]:
    """Return the locales of the examples file, sorted."""
    found: set[str] = set()
    with reported(folder / EXAMPLES):
        for _, batch in iter_batches(folder / EXAMPLES, ["product_locale"]):
            locales = pc.unique(batch.column(0).cast(pa.string()))
            found.update(locale for locale in locales.to_pylist() if locale is not None)
    return sorted(found)


def read_official(
    folder: Path, locales: Sequence[str], *, small: bool, official_split: str | None
) -> dict[str, list[RelevancePair]]:
    """Read the pairs of `locales`, in the order of the examples file.

    Raises:
        InputError: a missing file or column, an unknown label, an example without its product, or a text
            that `model_store.text` refuses; names file, row and field.
    """
    examples = list(_examples(folder / EXAMPLES, locales, small=small, official_split=official_split))
    products = _products(folder / PRODUCTS, {example.key for example in examples})
    pairs: dict[str, list[RelevancePair]] = {locale: [] for locale in locales}
    for example in examples:
        product = products.get(example.key)
        if product is None:
            raise InputError(
                f"product {example.key[1]!r} of locale {example.key[0]!r} is not in {PRODUCTS}; "
                "take both files from the same download",
                source=str(folder / EXAMPLES),
                row=example.row,
                field="product_id",
            )
        pair = QueryProductPair(example.key[0], example.query, product)
        pairs[example.key[0]].append(RelevancePair.of(pair, example.label))
    return pairs


def _examples(
    path: Path, locales: Sequence[str], *, small: bool, official_split: str | None
) -> Iterator[_Example]:
    version = "small_version" if small else "large_version"
    columns = ["query", "product_id", "product_locale", "esci_label", version]
    conditions: dict[str, Sequence[str]] = {"product_locale": locales, version: ["1", "true"]}
    if official_split:
        columns.append("split")
        conditions["split"] = [official_split]
    labels = LabelReader(ESCI_POSITIVE, ESCI_NEGATIVE)
    for row, cells in _rows_where(path, columns, conditions):
        product_id = checked_text(cells["product_id"], field="product_id", source=str(path), row=row)
        yield _Example(
            row,
            checked_text(cells["query"], field="query", source=str(path), row=row),
            (cells["product_locale"], product_id),
            labels.read(cells["esci_label"], source=str(path), row=row, field="esci_label"),
        )


def _products(path: Path, keys: set[_Key]) -> dict[_Key, Product]:
    columns = ["product_id", "product_locale", "product_title", *_OPTIONAL]
    conditions = {
        "product_locale": sorted({locale for locale, _ in keys}),
        "product_id": sorted({product_id for _, product_id in keys}),
    }
    return {
        (cells["product_locale"], cells["product_id"]): _product(cells, source=str(path), row=row)
        for row, cells in _rows_where(path, columns, conditions)
        if (cells["product_locale"], cells["product_id"]) in keys
    }


def _product(cells: dict[str, str], *, source: str, row: int) -> Product:
    title = checked_text(cells["product_title"], field="product_title", source=source, row=row)
    brand, color, bullet_points, description = (
        checked_optional_text(cells[name], field=name, source=source, row=row) for name in _OPTIONAL
    )
    return Product(cells["product_id"], title, brand, color, bullet_points, description)


def _rows_where(
    path: Path, columns: Sequence[str], conditions: Mapping[str, Sequence[str]]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (row, texts by column) where every column of `conditions` has one of its values."""
    wanted = {name: pa.array(values, pa.string()) for name, values in conditions.items()}
    texts_of = [Column((name,), is_id=name == "product_id") for name in columns]
    with reported(path):
        for first, batch in iter_batches(path, columns):
            kept = pa.array([True] * batch.num_rows)
            for name, values in wanted.items():
                kept = pc.and_(kept, pc.is_in(batch.column(name).cast(pa.string()), value_set=values))
            indices = pc.indices_nonzero(kept)
            rows = [first + index for index in indices.to_pylist()]
            for row, record in zip(rows, batch_texts(0, batch.take(indices), texts_of), strict=True):
                if isinstance(record, BadRow):
                    raise InputError(record.problem, source=str(path), row=row, field=record.field)
                yield row, {name: text or "" for name, text in zip(columns, record[1], strict=True)}
