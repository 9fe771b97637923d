"""Labelled pairs and parallel phrases from a localised product taxonomy.

Any locale found in the folder works: the generator knows categories and attributes, no language.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from random import Random

from model_store.errors import InputError
from model_store.text import checked_marketplace
from training.data.pairs import RelevancePair
from training.data.taxonomy.files import (
    locale_folder,
    read_attributes,
    read_category_attributes,
    read_category_names,
    taxonomy_locales,
)
from training.data.taxonomy.pairs import PairGenerator
from training.data.taxonomy.tree import TaxonomyTree

__all__ = ["generate_taxonomy_pairs", "taxonomy_locales", "taxonomy_phrases"]

_GIVE_UP_AFTER = 2000
"""Draws in a row that gave no new pair."""


def generate_taxonomy_pairs(folder: Path, locale: str, pairs: int, seed: int) -> list[RelevancePair]:
    """Generate labelled pairs in the language of `locale`; the same arguments give the same pairs.

    A query is the name of a category, sometimes with values of its attributes or with its parent's name. A
    relevant product is of that category and contradicts no value; a product that is not relevant is of a
    sibling category, of another category of the same vertical, of another vertical, or has a conflicting
    value. About 45 % are relevant. Each seed and locale favours verticals of its own, so that marketplaces
    differ.

    Args:
        folder: top folder of the taxonomy.
        locale: a folder under `dist/`; in small letters it is the marketplace of the pairs.
        pairs: how many pairs.
        seed: makes another set of queries, products and favoured verticals.

    Raises:
        InputError: an unknown locale (lists those there are), a missing or garbled file, or a taxonomy too
            small for so many different pairs.
    """
    place = locale_folder(folder, locale)
    marketplace = checked_marketplace(locale.lower(), source=str(place))
    tree = TaxonomyTree.of(
        read_category_names(place / "categories.txt"),
        read_category_attributes(folder),
        read_attributes(place / "attributes.json"),
    )
    if not tree.leaves_of_vertical:
        raise InputError("no category with a sibling to tell it from", source=str(place / "categories.txt"))
    generator = PairGenerator(tree, marketplace, Random(f"{seed}:{marketplace}"))
    return _distinct_pairs(generator, pairs, source=str(place))


def taxonomy_phrases(folder: Path, source: str, target: str) -> dict[str, str]:
    """Return phrases of locale `source` with their counterpart in locale `target`, by shared ids.

    Phrases are the names of categories, attributes and values, as they are written. A phrase with several
    counterparts has its most frequent one. Only `dist/` is read; a locale's files are parsed once in a process
    while they do not change, as a sequence of marketplaces asks for every pair of locales.

    Raises:
        InputError: an unknown locale, or a missing or garbled file.
    """
    others = dict(_names_of(locale_folder(folder, target)))
    counterparts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for key, name in _names_of(locale_folder(folder, source)):
        if key in others:
            counterparts[name][others[key]] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in counterparts.items()}


def _names_of(place: Path) -> tuple[tuple[tuple[str, str], str], ...]:
    files = (place / "categories.txt", place / "attributes.json")
    return _parsed_names(place, tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in files))


@lru_cache(maxsize=8)
def _parsed_names(place: Path, _stamps: tuple[int, ...]) -> tuple[tuple[tuple[str, str], str], ...]:
    return tuple(_names_by_id(place))


def _names_by_id(place: Path) -> Iterator[tuple[tuple[str, str], str]]:
    for category, name in read_category_names(place / "categories.txt").items():
        yield ("category", category), name
    for attribute in read_attributes(place / "attributes.json"):
        yield ("attribute", attribute.handle), attribute.name
        for extended in attribute.extended_attributes:
            yield ("attribute", extended.handle), extended.name
        for value in attribute.values:
            yield ("value", value.id), value.name


def _distinct_pairs(generator: PairGenerator, pairs: int, *, source: str) -> list[RelevancePair]:
    found: dict[tuple[str, str], RelevancePair] = {}
    known_in_a_row = 0
    while len(found) < pairs:
        for pair in generator.pairs_of_a_query():
            known = found.setdefault((pair.query, pair.product_title), pair) is not pair
            known_in_a_row = known_in_a_row + 1 if known else 0
        if known_in_a_row > _GIVE_UP_AFTER:
            raise InputError(
                f"the taxonomy gives only about {len(found)} of {pairs} different pairs; ask for fewer",
                source=source,
            )
    return list(found.values())[:pairs]
