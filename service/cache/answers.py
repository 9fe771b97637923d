"""What the cache knows of a query, read from the rows of one ZREVRANGE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from service.cache.commands import Row
from service.cache.generations import Generation

SCORE_SCALE = 10_000
"""Scores are kept as integers, score * 10^4: half the memory of floats."""

MARKER = ""
"""The member that says "scored, nothing relevant"."""

Status = Literal["relevant", "nothing_relevant", "never_scored", "expired"]


class CachedProduct(NamedTuple):
    """A highly relevant product; `score` in [0, 1] with four decimals."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class CacheAnswer:
    """What the cache knows of a query.

    `nothing_relevant`: products were scored for it, and none was highly relevant (or reaches `min_score`, or is
    still on sale). `never_scored`: the generation has no entry for it, or there is no generation. `expired`:
    no entry either, and the generation is older than the time to live, so that there may have been one.
    """

    status: Status
    products: tuple[CachedProduct, ...]
    generation: Generation | None


@dataclass(frozen=True, slots=True)
class ActiveView:
    """What a reader remembers of a marketplace: the generation to read and the products taken off sale."""

    generation: Generation | None
    change: int
    removed: frozenset[str]

    def answer(self, rows: Sequence[Row], least: float) -> CacheAnswer:
        """The answer that one query's rows give; `least` is the smallest kept integer score."""
        if not rows:
            return CacheAnswer(self._absence(), (), self.generation)
        products = [
            CachedProduct(name.decode(), score / SCORE_SCALE) for name, score in rows if score >= least and name
        ]
        if self.removed:
            products = [product for product in products if product.id not in self.removed]
        return CacheAnswer("relevant" if products else "nothing_relevant", tuple(products), self.generation)

    def _absence(self) -> Status:
        expires_from = self.generation.expires_from if self.generation else None
        return "expired" if expires_from is not None and datetime.now(UTC) >= expires_from else "never_scored"


def least_score(min_score: float) -> float:
    """`min_score` as it is kept; rounding leaves 0.7 what it is."""
    return round(min_score * SCORE_SCALE, 6)
