"""The Shopping Queries Dataset (ESCI, Reddy et al. 2022): the official Parquet folder, and flat TSV subsets.

Exact (E) and substitute (S) are relevant, complement (C) and irrelevant (I) are not, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from model_store.errors import ConfigurationError, InputError
from model_store.tables.columns import ESCI_NEGATIVE, ESCI_POSITIVE, LabelReader
from model_store.tables.lines import iter_lines
from model_store.tables.parquet import check_column
from model_store.tables.rows import TableFile
from model_store.tables.values import BadRow, Column
from model_store.text import checked_marketplace, checked_optional_text, checked_text
from training.data.esci.official import EXAMPLES, is_official, official_locales, read_official
from training.data.pairs import RelevancePair

EsciVersion = Literal["large", "small"]
OfficialSplit = Literal["train", "test"]

FLAT_COLUMNS = (
    "product_locale",
    "query",
    "product_id",
    "product_title",
    "product_brand",
    "product_color",
    "esci_label",
)


def read_esci(
    path: Path,
    locales: Sequence[str] | None = None,
    *,
    version: EsciVersion = "large",
    official_split: OfficialSplit | None = None,
) -> dict[str, list[RelevancePair]]:
    """Read pairs by locale, each in the file's order.

    Args:
        path: the official folder, or a flat TSV (UTF-8, tab-separated, no quoting, `FLAT_COLUMNS`).
        locales: which of `us`, `es`, `jp`, ... to read; all by default.
        version: of the official folder, `large` (all rows) or `small` (its harder queries only).
        official_split: of the official folder, only the rows of that split. By default its split column is
            ignored, since this product splits by query into three parts of its own.

    Raises:
        InputError: a missing file or column, an unknown locale (lists those there are), an unknown label or
            a text that `model_store.text` refuses; names file, row and field.
        ConfigurationError: an option of the official folder for a flat file.
    """
    official = _is_official(path)
    if not official and (version == "small" or official_split):
        raise ConfigurationError(
            f"{path}: only the official folder has versions and splits; leave these options out"
        )
    wanted = _checked_locales(path, locales)
    if official:
        return read_official(path, wanted, small=version == "small", official_split=official_split)
    pairs: dict[str, list[RelevancePair]] = {locale: [] for locale in wanted}
    labels = LabelReader(ESCI_POSITIVE, ESCI_NEGATIVE)
    for row, cells in _flat_rows(path):
        if cells[0] in pairs:
            pairs[cells[0]].append(_flat_pair(cells, labels, source=str(path), row=row))
    return pairs


def esci_locales(path: Path) -> list[str]:
    """Return the locales that occur in the data, sorted.

    Raises:
        InputError: neither an official folder nor a flat TSV.
    """
    if _is_official(path):
        return official_locales(path)
    return sorted({cells[0] for _, cells in _flat_rows(path)})


def is_flat_esci(path: Path) -> bool:
    """Whether the first line of a file names the columns of a flat ESCI file.

    Raises:
        InputError: no such file, or its first line is not UTF-8.
    """
    header = next(iter_lines(path), (1, ""))[1]
    return set(FLAT_COLUMNS) <= set(header.split("\t"))


def _is_official(path: Path) -> bool:
    if path.is_dir() and not is_official(path):
        raise InputError(f"the folder lacks {EXAMPLES}; give the official folder or a flat TSV", source=str(path))
    return path.is_dir()


def _checked_locales(path: Path, locales: Sequence[str] | None) -> list[str]:
    present = esci_locales(path)
    for locale in locales or ():
        if checked_marketplace(locale) not in present:
            raise InputError(
                f"no rows of locale {locale!r}; there are {', '.join(present) or 'no rows at all'}",
                source=str(path / EXAMPLES if is_official(path) else path),
                field="product_locale",
            )
    wanted = present if locales is None else locales
    return [checked_marketplace(locale, source=str(path)) for locale in wanted]


def _flat_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (row, the cells of `FLAT_COLUMNS` in that order, the locale as a marketplace's name)."""
    table = TableFile(path, [Column((name,), is_id=name == "product_id") for name in FLAT_COLUMNS], form=".tsv")
    for column in FLAT_COLUMNS:
        check_column(column, table.header or (), source=str(path))
    for record in table.rows():
        if isinstance(record, BadRow):
            raise InputError(record.problem, source=str(path), row=record.row, field=record.field)
        row, (locale, *cells) = record
        yield row, [_locale(locale, path, row), *(cell or "" for cell in cells)]


def _locale(text: str | None, path: Path, row: int) -> str:
    name = checked_text(text or "", field="product_locale", source=str(path), row=row)
    return checked_marketplace(name, source=str(path), row=row)


def _flat_pair(cells: list[str], labels: LabelReader, *, source: str, row: int) -> RelevancePair:
    locale, query, product_id, title, brand, color, label = cells
    return RelevancePair(
        marketplace=locale,
        query=checked_text(query, field="query", source=source, row=row),
        product_id=checked_text(product_id, field="product_id", source=source, row=row),
        product_title=checked_text(title, field="product_title", source=source, row=row),
        label=labels.read(label, source=source, row=row, field="esci_label"),
        product_brand=checked_optional_text(brand, field="product_brand", source=source, row=row),
        product_color=checked_optional_text(color, field="product_color", source=source, row=row),
    )
