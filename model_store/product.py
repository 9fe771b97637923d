"""A product as the scorer sees it, and a query-product pair without a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

ProductField = Literal["title", "brand", "color", "bullet_points", "description"]
PRODUCT_FIELDS: tuple[ProductField, ...] = get_args(ProductField)


@dataclass(frozen=True, slots=True)
class Product:
    """One product; every field but `id` and `title` may be empty."""

    id: str
    title: str
    brand: str = ""
    color: str = ""
    bullet_points: str = ""
    description: str = ""

    def text(self, fields: tuple[ProductField, ...]) -> str:
        """The given fields in that order, empty ones left out, joined by one space."""
        values = (str(getattr(self, field)) for field in fields)
        return " ".join(value for value in values if value)


@dataclass(frozen=True, slots=True)
class QueryProductPair:
    """What the service scores."""

    marketplace: str
    query: str
    product: Product
