"""A taxonomy in one language: categories, their kin, and the values that a product of them can have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from training.data.taxonomy.files import TaxonomyAttribute

# Not what a shop's search shows: adult goods, and services, which are no products.
_LEFT_OUT = frozenset({"ma", "se"})


@dataclass(frozen=True, slots=True)
class TaxonomyTree:
    """Names by category id, leaves below each category, and attribute values by handle."""

    names: Mapping[str, str]
    leaves_below: Mapping[str, tuple[str, ...]]
    leaves_of_vertical: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, tuple[str, ...]]
    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(
        cls,
        names: Mapping[str, str],
        category_attributes: Mapping[str, tuple[str, ...]],
        attributes: Iterable[TaxonomyAttribute],
    ) -> TaxonomyTree:
        """Build the tree; an attribute that has fewer than two values in this locale is left out."""
        values = _values_by_handle(attributes)
        below = _leaves_below(names)
        return cls(
            names=names,
            leaves_below=below,
            leaves_of_vertical={
                category: leaves
                for category, leaves in below.items()
                if "-" not in category and len(leaves) > 1 and category not in _LEFT_OUT
            },
            attributes={
                category: tuple(handle for handle in handles if handle in values)
                for category, handles in category_attributes.items()
            },
            values=values,
        )

    def parent(self, category: str) -> str:
        """The id of the parent; a vertical is its own."""
        return category.rpartition("-")[0] or category

    def vertical(self, category: str) -> str:
        """The id of the vertical (the top category) that the category is in."""
        return category.partition("-")[0]

    def siblings(self, category: str) -> list[str]:
        """Leaves under the parent that are not under the category."""
        own = set(self.leaves_below[category])
        return [leaf for leaf in self.leaves_below[self.parent(category)] if leaf not in own]

    def cousins(self, category: str) -> list[str]:
        """Leaves of the same vertical that are not under the parent."""
        near = set(self.leaves_below[self.parent(category)])
        return [leaf for leaf in self.leaves_of_vertical[self.vertical(category)] if leaf not in near]


def _leaves_below(names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    inner = {category.rpartition("-")[0] for category in names}
    below: defaultdict[str, list[str]] = defaultdict(list)
    for leaf in names:
        if leaf in inner:
            continue
        category = leaf
        while category:
            below[category].append(leaf)
            category = category.rpartition("-")[0]
    return {category: tuple(leaves) for category, leaves in below.items()}


def _values_by_handle(attributes: Iterable[TaxonomyAttribute]) -> dict[str, tuple[str, ...]]:
    values: dict[str, tuple[str, ...]] = {}
    for attribute in attributes:
        # "Other" says nothing about a product. Two values may share their localised name.
        names = {value.name for value in attribute.values if not value.handle.endswith("__other")}
        if len(names) > 1:
            handles = (attribute.handle, *(extended.handle for extended in attribute.extended_attributes))
            values |= dict.fromkeys(handles, tuple(sorted(names)))
    return values
