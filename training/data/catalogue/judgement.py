"""What a query asks for, what a product offers, and the ESCI judgement that follows from the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.data.catalogue.lexicon import Item
from training.data.catalogue.words import Entry

Esci = Literal["E", "S", "C", "I"]
"""Exact, substitute, complement, irrelevant: the judgements of the ESCI data."""

RELEVANT: frozenset[Esci] = frozenset({"E", "S"})


@dataclass(frozen=True, slots=True)
class Intent:
    """What a query asks for. An empty `brand` or `line` asks for none in particular.

    `names_item` is false where the shopper types the house brand alone and means what it sells.
    """

    item: Item
    brand: str = ""
    line: str = ""
    values: tuple[Entry, ...] = ()
    names_item: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """What a product is. `values` holds one value an attribute.

    `fits` is the brand and model that an accessory is made for; `names_item` is false where the title leaves
    the item to the house brand's name.
    """

    item: Item
    brand: str
    line: str
    model: str
    values: tuple[Entry, ...]
    fits: str = ""
    names_item: bool = True


def judge(intent: Intent, offer: Offer) -> Esci:
    """Judge an offer.

    E: the item asked for, and everything asked for holds. S: the item asked for in another brand, line or
    attribute, or a type that shoppers accept instead. C: an accessory of what is asked for, or what the
    accessory asked for belongs to. I: anything else.
    """
    if offer.item.key == intent.item.key:
        return "E" if _holds(intent, offer) else "S"
    if offer.item.key in intent.item.siblings:
        return "S"
    return "C" if _complements(intent.item, offer.item) else "I"


def _holds(intent: Intent, offer: Offer) -> bool:
    return (
        intent.brand in ("", offer.brand)
        and intent.line in ("", offer.line)
        and set(intent.values) <= set(offer.values)
    )


def _complements(one: Item, other: Item) -> bool:
    return other.of == one.key or one.of == other.key
