"""What tells the catalogue's marketplaces apart: language, assortment, house brands and styles of writing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from model_store.errors import InputError
from training.data.catalogue.lexicon_files import lexicon_text

MARKETPLACES: tuple[str, ...] = ("us", "es", "jp", "de", "ru", "br")
"""The marketplaces that the catalogue can generate, in the order of its quick start."""


class Marketplace(BaseModel):
    """One marketplace of the catalogue.

    `categories` are the weights of its dominant categories, in percent of its queries; the others share the
    rest. A house brand is known for one type, and has two product lines. `queries` and `titles` are patterns
    with their weights. `joined` is the share of queries that are typed without spaces.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    categories: dict[str, int]
    house_brands: dict[str, tuple[str, str, str]]
    queries: dict[str, int]
    titles: dict[str, int]
    fillers: list[str]
    joined: float = Field(ge=0.0, le=1.0)

    @property
    def brand_of_type(self) -> dict[str, str]:
        """The house brand of each type that has one."""
        return {sold: brand for brand, (sold, _, _) in self.house_brands.items()}


@cache
def _marketplaces() -> Mapping[str, Marketplace]:
    adapter = TypeAdapter(dict[str, Marketplace])
    return MappingProxyType(adapter.validate_json(lexicon_text("marketplaces.json")))


@cache
def brands_by_category() -> Mapping[str, tuple[str, ...]]:
    """Invented brands that sell every type of a category, in all marketplaces."""
    adapter = TypeAdapter(dict[str, tuple[str, ...]])
    return MappingProxyType(adapter.validate_json(lexicon_text("brands.json")))


def marketplace_named(name: str) -> Marketplace:
    """The marketplace called `name`.

    Raises:
        InputError: the catalogue has no such marketplace; lists those it has.
    """
    if name not in MARKETPLACES:
        raise InputError(f"no marketplace {name!r}; available are {', '.join(MARKETPLACES)}", source="catalogue")
    return _marketplaces()[name]


def all_brands() -> frozenset[str]:
    """Every brand of every marketplace."""
    house = (brand for marketplace in _marketplaces().values() for brand in marketplace.house_brands)
    return frozenset(house).union(*brands_by_category().values())
