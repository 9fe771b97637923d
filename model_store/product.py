"""A product as the scorer sees it, and a query-product pair without a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

ProductField = Literal["title", "brand", "color", "bullet_points", "description"]
PRODUCT_FIELDS: tuple[ProductField, ...] = get_args(ProductField)

FLAT_FIELDS = ("product_id", *(f"product_{field}" for field in PRODUCT_FIELDS))
"""A product's columns in a row that holds more than the product, in the order of `Product`'s fields."""


@dataclass(frozen=True, slots=True)
class Product:
    """One product; every field but `id` and `title` may be empty."""

    id: str
    title: str
    brand: str = ""
    color: str = ""
    bullet_points: str = ""
    description: str = ""

    @classmethod
    def of_flat(cls, row: Mapping[str, str]) -> Product:
        """The product of a row, as `flat` gives it; further columns are left alone."""
        return cls(*(row[name] for name in FLAT_FIELDS))

    @classmethod
    def of_row(cls, row: object) -> Product:
        """The product of an object whose attributes are those of `flat`."""
        return cls(*(getattr(row, name) for name in FLAT_FIELDS))

    def flat(self) -> dict[str, str]:
        """The columns of the product in a row: `product_id`, `product_title` and so on."""
        return dict(
            zip(
                FLAT_FIELDS,
                (self.id, self.title, self.brand, self.color, self.bullet_points, self.description),
                strict=True,
            )
        )

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
