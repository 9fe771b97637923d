from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

HEADER = "query\tproduct_id\tproduct_title"
_WORDS = ("usb", "cable", "sofa", "red", "tea", "4k", "tv", "85-inch", "hdmi", "dog", "kit", "xyz", "lámpara")


def title_of(product: int) -> str:
    """Titles that the tiny model finds more and less relevant."""
    return f"{_WORDS[product % len(_WORDS)]} {_WORDS[product * 7 // 3 % len(_WORDS)]} {product // len(_WORDS)}"


def write_candidates(path: Path, queries: int, products: int, *, first_query: int = 0) -> Path:
    """Rows of one query are spread over the whole file."""
    rows = [
        f"query {query}\tp{product}\t{title_of(product)}"
        for product in range(products)
        for query in range(first_query, first_query + queries)
    ]
    return write_rows(path, rows)


def write_rows(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path
