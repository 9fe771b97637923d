"""A labelled query-product pair: what every reader gives and every training stage takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from model_store.product import Product, QueryProductPair
from model_store.query_normalisation import normalised_query


@dataclass(frozen=True, slots=True)
class RelevancePair:
    """One judged pair. `label` is 1 for relevant (ESCI: E, S) and 0 for not relevant (C, I)."""

    marketplace: str
    query: str
    product_id: str
    product_title: str
    label: int
    product_brand: str = ""
    product_color: str = ""
    product_bullet_points: str = ""
    product_description: str = ""

    @classmethod
    def of(cls, pair: QueryProductPair, label: int) -> RelevancePair:
        """The labelled form of a pair."""
        return cls(marketplace=pair.marketplace, query=pair.query, label=label, **pair.product.flat())

    @property
    def product(self) -> Product:
        """The product alone, as the pair encoding takes it."""
        return Product.of_row(self)

    def unlabelled(self) -> QueryProductPair:
        """The pair without its label, as a scorer takes it."""
        return QueryProductPair(self.marketplace, self.query, self.product)

    def with_texts(self, query: str, product: Product, marketplace: str) -> RelevancePair:
        """The same judgement in other words: a translation into `marketplace`'s language."""
        return RelevancePair.of(QueryProductPair(marketplace, query, product), self.label)


def contradictions(pairs: Iterable[RelevancePair]) -> int:
    """How many products are relevant to a query in one row and not in another, spellings of a query being one."""
    labels: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
    for pair in pairs:
        labels[pair.marketplace, normalised_query(pair.query), pair.product_id].add(pair.label)
    return sum(len(found) > 1 for found in labels.values())
