"""The bundled lexicon: product types, their accessories, attributes and phrases, in every language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import cast

from training.data.catalogue.lexicon_files import entry_of, read_rows
from training.data.catalogue.words import Entry, Kind

_EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Item:
    """What can be sold: a product type, or an accessory of one.

    `siblings` are the types that shoppers accept instead. `of` is the type that an accessory belongs to; it is
    empty for a type. `accessories` is empty for an accessory.
    """

    entry: Entry
    category: str
    siblings: frozenset[str] = frozenset()
    of: str = ""
    accessories: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its key in the lexicon."""
        return self.entry.key


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything the catalogue can name.

    `values` lists, by item, the attribute values that fit it.
    """

    items: Mapping[str, Item]
    values: Mapping[str, tuple[Entry, ...]]
    phrases: Mapping[str, Entry]
    entries: tuple[Entry, ...]

    def types_of(self, category: str) -> list[Item]:
        """The product types of a category, in the order of the table."""
        return [item for item in self.items.values() if item.category == category and not item.of]

    @property
    def categories(self) -> list[str]:
        """All categories, in the order of the table."""
        return list(dict.fromkeys(item.category for item in self.items.values()))


@cache
def load_lexicon() -> Lexicon:
    """The bundled lexicon, read once.

    Raises:
        InputError: a table is malformed; names the file, row and field.
    """
    types = dict(_read_types())
    accessories = dict(_read_accessories(types))
    items = {key: _with_accessories(item, accessories) for key, item in types.items()} | accessories
    values, value_entries = _read_values(items)
    phrases = {
        row["key"]: entry_of(row, row["key"], cast("Kind", row["kind"]), "phrases.tsv", number)
        for number, row in read_rows("phrases.tsv")
    }
    entries = (*(item.entry for item in items.values()), *value_entries, *phrases.values())
    return Lexicon(MappingProxyType(items), MappingProxyType(values), MappingProxyType(phrases), entries)


def _read_types() -> list[tuple[str, Item]]:
    return [
        (
            row["key"],
            Item(
                entry_of(row, row["key"], "type", "types.tsv", number),
                row["category"],
                siblings=frozenset(row["siblings"].split()),
            ),
        )
        for number, row in read_rows("types.tsv")
    ]


def _read_accessories(types: Mapping[str, Item]) -> list[tuple[str, Item]]:
    return [
        (
            row["key"],
            Item(
                entry_of(row, row["key"], "accessory", "accessories.tsv", number),
                types[row["type"]].category,
                of=row["type"],
            ),
        )
        for number, row in read_rows("accessories.tsv")
    ]


def _with_accessories(item: Item, accessories: Mapping[str, Item]) -> Item:
    own = tuple(key for key, accessory in accessories.items() if accessory.of == item.key)
    return Item(item.entry, item.category, item.siblings, accessories=own)


def _read_values(items: Mapping[str, Item]) -> tuple[dict[str, tuple[Entry, ...]], list[Entry]]:
    values: dict[str, list[Entry]] = {key: [] for key in items}
    entries = []
    for number, row in read_rows("attributes.tsv"):
        entry = entry_of(row, row["key"], cast("Kind", row["attribute"]), "attributes.tsv", number)
        entries.append(entry)
        fits = frozenset(row["fits"].split(","))
        for item in items.values():
            if _fits(item, entry, fits):
                values[item.key].append(entry)
    return {key: tuple(found) for key, found in values.items()}, entries


def _fits(item: Item, entry: Entry, fits: frozenset[str]) -> bool:
    """`fits` names categories and types, "*" for all and "-type" for what is left out.

    An accessory comes in all colours, and nothing else is said of it.
    """
    if item.of:
        return entry.kind == "color" and _EVERYTHING in fits
    return f"-{item.key}" not in fits and not fits.isdisjoint((_EVERYTHING, item.category, item.key))
