"""Draws queries and judged products from a localised taxonomy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from training.data.pairs import RelevancePair
from training.data.taxonomy.tree import TaxonomyTree

_RELEVANT = 0.45
_PRODUCTS_PER_QUERY = (3, 8)
_EXTRA_VALUES = (1, 3)
# Products of other categories repeat the query's values as often as this, so that words alone judge nothing.
_SHARED_VALUES = 0.85
_CONFLICTING = 0.6
_GENERIC_TITLE = 0.25
_COLOR = "color"
# A tiny taxonomy may have no category of another name.
_TRIES = 20


@dataclass(frozen=True, slots=True)
class _Query:
    """A drawn query: what it asks for and the words it uses. `broad` asks for any leaf of the category."""

    text: str
    category: str
    broad: bool
    values: dict[str, str] = field(default_factory=dict)


class PairGenerator:
    """Draws pairs of one marketplace; equal random states give equal pairs."""

    def __init__(self, tree: TaxonomyTree, marketplace: str, random: Random) -> None:
        self._tree = tree
        self._marketplace = marketplace
        self._random = random
        self._verticals = list(tree.leaves_of_vertical)
        self._weights = [
            random.gammavariate(0.7, 1.0) * len(leaves) for leaves in tree.leaves_of_vertical.values()
        ]

    def pairs_of_a_query(self) -> Iterator[RelevancePair]:
        """Draw one query and a few products for it, relevant ones and others mixed."""
        query = self._query()
        for _ in range(self._random.randint(*_PRODUCTS_PER_QUERY)):
            if self._random.random() < _RELEVANT:
                yield self._relevant(query)
            else:
                yield self._not_relevant(query)

    def _query(self) -> _Query:
        leaf = self._leaf()
        parent = self._tree.parent(leaf)
        kind = self._random.random()
        if kind < 0.15:
            return _Query(self._words(leaf), leaf, broad=False)
        if kind < 0.55:
            values = self._values(leaf, self._random.randint(1, 2))
            return _Query(self._words(leaf, *values.values()), leaf, broad=False, values=values)
        if kind < 0.9 and self._is_inner(parent):
            return _Query(self._words(parent), parent, broad=True)
        return _Query(self._words(leaf, self._tree.names[parent]), leaf, broad=False)

    def _relevant(self, query: _Query) -> RelevancePair:
        category = self._random.choice(self._tree.leaves_below[query.category])
        values = query.values | self._values(category, self._random.randint(*_EXTRA_VALUES), query.values)
        parent = self._tree.parent(category)
        generic = not query.values and self._is_inner(parent) and self._random.random() < _GENERIC_TITLE
        return self._pair(query, parent if generic else category, values, 1)

    def _not_relevant(self, query: _Query) -> RelevancePair:
        if query.values and self._random.random() < _CONFLICTING:
            return self._conflicting(query)
        category = self._other_category(query)
        if category is None:
            return self._relevant(query)
        known = self._tree.attributes.get(category, ())
        values = {
            handle: value
            for handle, value in query.values.items()
            if handle in known and self._random.random() < _SHARED_VALUES
        }
        values |= self._values(category, self._random.randint(*_EXTRA_VALUES), values)
        return self._pair(query, category, values, 0)

    def _conflicting(self, query: _Query) -> RelevancePair:
        handle = self._random.choice(list(query.values))
        asked = query.values[handle]
        # "Gold" does not contradict "rose gold".
        others = [
            value
            for value in self._tree.values[handle]
            if asked.casefold() not in value.casefold() and value.casefold() not in asked.casefold()
        ]
        if not others:
            return self._relevant(query)
        values = query.values | {handle: self._random.choice(others)}
        values |= self._values(query.category, self._random.randint(*_EXTRA_VALUES), values)
        return self._pair(query, query.category, values, 0)

    def _other_category(self, query: _Query) -> str | None:
        """A leaf near (a sibling), further (the same vertical) or far (another one), by any other name."""
        near, further = self._tree.siblings(query.category), self._tree.cousins(query.category)
        asked = {self._tree.names[leaf].casefold() for leaf in self._tree.leaves_below[query.category]}
        asked.add(self._tree.names[query.category].casefold())
        for _ in range(_TRIES):
            category = self._near_or_far(near, further)
            if self._tree.names[category].casefold() not in asked:
                return category
        return None

    def _near_or_far(self, near: list[str], further: list[str]) -> str:
        kind = self._random.random()
        if near and kind < 0.6:
            return self._random.choice(near)
        if further and kind < 0.85:
            return self._random.choice(further)
        return self._leaf()

    def _leaf(self) -> str:
        vertical = self._random.choices(self._verticals, self._weights)[0]
        return self._random.choice(self._tree.leaves_of_vertical[vertical])

    def _is_inner(self, category: str) -> bool:
        return "-" in category

    def _values(self, category: str, count: int, taken: dict[str, str] | None = None) -> dict[str, str]:
        handles = [handle for handle in self._tree.attributes.get(category, ()) if handle not in (taken or {})]
        chosen = self._random.sample(handles, min(count, len(handles)))
        return {handle: self._random.choice(self._tree.values[handle]) for handle in chosen}

    def _words(self, category: str, *more: str) -> str:
        words = [self._tree.names[category], *more]
        if self._random.random() < 0.5:
            words.reverse()
        return " ".join(words).lower()

    def _title(self, category: str, values: list[str]) -> str:
        name = self._tree.names[category]
        self._random.shuffle(values)
        form = self._random.randrange(4)
        if form == 0:
            return " ".join([*values, name])
        if form == 1:
            return ", ".join([name, *values])
        if form == 2:
            return f"{name} - {' / '.join(values)}" if values else name
        return " ".join([*values[:1], name, self._tree.names[self._tree.parent(category)], *values[1:]])

    def _pair(self, query: _Query, category: str, values: dict[str, str], label: int) -> RelevancePair:
        title = self._title(category, list(values.values()))
        return RelevancePair(
            marketplace=self._marketplace,
            query=query.text,
            product_id=hashlib.blake2b(title.encode(), digest_size=5).hexdigest().upper(),
            product_title=title,
            label=label,
            product_color=values.get(_COLOR, ""),
        )
