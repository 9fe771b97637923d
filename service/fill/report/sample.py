"""A sample of the scored pairs, to be scored again and looked up before readers see them."""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from model_store.product import Product, QueryProductPair


class SampledPair(BaseModel):
    """A pair, the score that it got, and its place in the order of which the sample is the beginning."""

    model_config = ConfigDict(frozen=True)

    place: int
    query: str
    product_id: str
    title: str
    brand: str
    color: str
    bullet_points: str
    description: str
    score: float

    def pair(self, marketplace: str) -> QueryProductPair:
        """The pair itself."""
        product = Product(
            self.product_id, self.title, self.brand, self.color, self.bullet_points, self.description
        )
        return QueryProductPair(marketplace, self.query, product)


class ScoredSample:
    """Of all pairs those with the smallest digests: the same ones in whatever order and how often they come."""

    def __init__(self, size: int, pairs: Iterable[SampledPair] = ()) -> None:
        self._size = size
        self._pairs = list(pairs)
        self._order = [_order(pair) for pair in self._pairs]

    def add(self, pairs: Sequence[QueryProductPair], scores: np.ndarray) -> None:
        """Take scored pairs into account."""
        if not self._size:
            return
        for number, pair in enumerate(pairs):
            product = pair.product
            place = zlib.crc32(f"{pair.query}\0{product.id}\0{product.title}".encode())
            if len(self._pairs) < self._size or place <= self._pairs[-1].place:
                self._insert(place, pair, float(scores[number]))

    def pairs(self) -> tuple[SampledPair, ...]:
        """The sample, in its order."""
        return tuple(self._pairs)

    def _insert(self, place: int, pair: QueryProductPair, score: float) -> None:
        product = pair.product
        sampled = SampledPair(
            place=place,
            query=pair.query,
            product_id=product.id,
            title=product.title,
            brand=product.brand,
            color=product.color,
            bullet_points=product.bullet_points,
            description=product.description,
            score=score,
        )
        order = _order(sampled)
        position = bisect.bisect_left(self._order, order)
        if position < len(self._order) and self._order[position] == order:
            return
        self._order.insert(position, order)
        self._pairs.insert(position, sampled)
        del self._order[self._size :], self._pairs[self._size :]


def _order(pair: SampledPair) -> tuple[int | str, ...]:
    return (pair.place, *pair.model_dump(exclude={"place", "score"}).values())
