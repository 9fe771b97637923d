"""Probe pairs for versions that were published without."""

from __future__ import annotations

from model_store.product import Product, QueryProductPair
from model_store.versions.manifest import ProbePair
from service.engine.scorer import Scorer


def with_probes(scorer: Scorer, change: float = 0.0) -> Scorer:
    """Give the scorer's manifest probe pairs with its own scores, changed by so much."""
    pairs = [
        QueryProductPair(name, "usb cable", Product("p", f"cable {number}"))
        for number in range(2)
        for name in scorer.marketplaces[:2]
    ]
    probes = tuple(
        ProbePair(
            marketplace=pair.marketplace,
            query=pair.query,
            product_id=pair.product.id,
            product_title=pair.product.title,
            score=score + change,
        )
        for pair, score in zip(pairs, scorer.score(pairs), strict=True)
    )
    scorer.manifest = scorer.manifest.model_copy(update={"probe_pairs": probes})
    return scorer
