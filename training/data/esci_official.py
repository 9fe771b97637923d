"""The official Parquet folder of the Shopping Queries Dataset: two files, joined on locale and product id.

The products file has 1.8 million rows with long descriptions: both files are read in batches and filtered
as they come, so that memory holds only what is joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from model_store.errors import InputError
from model_store.product import Product, QueryProductPair
from model_store.text import checked_optional_text, checked_text
from training.data.labels import ESCI_NEGATIVE, ESCI_POSITIVE, LabelReader
from training.data.pairs import RelevancePair
from training.data.parquet_files import iter_batches

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
    for _, batch in iter_batches(folder / EXAMPLES, ["product_locale"]):
        found.update(locale for locale in pc.unique(batch.column(0)).to_pylist() if locale is not None)
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
    columns += ["split"] if official_split else []
    labels = LabelReader(ESCI_POSITIVE, ESCI_NEGATIVE)
    for first, batch in iter_batches(path, columns):
        kept = pc.and_(_is_in(batch.column("product_locale"), locales), pc.equal(batch.column(version), 1))
        if official_split:
            kept = pc.and_(kept, pc.equal(batch.column("split"), official_split))
        for row, cells in _rows_where(batch, kept, first):
            query, product_id, locale, label = (cells[name] or "" for name in columns[:4])
            yield _Example(
                row,
                checked_text(query, field="query", source=str(path), row=row),
                (locale, checked_text(product_id, field="product_id", source=str(path), row=row)),
                labels.read(label, source=str(path), row=row, field="esci_label"),
            )


def _products(path: Path, keys: set[_Key]) -> dict[_Key, Product]:
    locales = sorted({locale for locale, _ in keys})
    ids = pa.array(sorted({product_id for _, product_id in keys}), pa.string())
    columns = ["product_id", "product_locale", "product_title", *_OPTIONAL]
    products: dict[_Key, Product] = {}
    for first, batch in iter_batches(path, columns):
        kept = pc.and_(
            _is_in(batch.column("product_locale"), locales),
            pc.is_in(batch.column("product_id").cast(pa.string()), value_set=ids),
        )
        for row, cells in _rows_where(batch, kept, first):
            key = (cells["product_locale"] or "", (cells["product_id"] or "").strip())
            if key in keys:
                products[key] = _product(cells, source=str(path), row=row)
    return products


def _product(cells: dict[str, str | None], *, source: str, row: int) -> Product:
    title = checked_text(cells["product_title"] or "", field="product_title", source=source, row=row)
    brand, color, bullet_points, description = (
        checked_optional_text(cells[name] or "", field=name, source=source, row=row) for name in _OPTIONAL
    )
    return Product((cells["product_id"] or "").strip(), title, brand, color, bullet_points, description)


def _is_in(column: pa.Array, values: Sequence[str]) -> pa.Array:
    return pc.is_in(column.cast(pa.string()), value_set=pa.array(values, pa.string()))


def _rows_where(
    batch: pa.RecordBatch, kept: pa.Array, first: int
) -> Iterator[tuple[int, dict[str, str | None]]]:
    indices = pc.indices_nonzero(pc.fill_null(kept, fill_value=False))
    rows: list[dict[str, str | None]] = batch.take(indices).to_pylist()
    for index, cells in zip(indices.to_pylist(), rows, strict=True):
        yield first + index, cells
