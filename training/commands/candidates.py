"""`training candidates`: unlabelled pairs to try the batch fill with."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from model_store.product import QueryProductPair
from model_store.tables.tsv_writer import TsvWriter
from training.console import notes
from training.data.pairs import RelevancePair
from training.data.sources import CatalogueSource, parse_source

HEADER = ("marketplace", "query", "product_id", "product_title", "product_brand", "product_color")


def write_candidates(
    data: str,
    marketplace: str,
    output: Path,
    queries: int,
    products: int,
    seed: int,
    report: Callable[[str], None] = notes.print,
) -> int:
    """Write a TSV of queries, each with its own judged products and others drawn at random.

    Args:
        report: is given a line on what was written.

    Returns:
        The number of pairs.
    """
    source = parse_source(data)
    if isinstance(source, CatalogueSource):
        from training.data.catalogue import generate_candidates

        pairs: Sequence[QueryProductPair] = generate_candidates(marketplace, queries, products, seed)
    else:
        pairs = _mixed(source.load([marketplace], seed)[marketplace], queries, products, seed)
    with TsvWriter(output, HEADER) as table:
        for pair in pairs:
            table.write(*_row(pair))
    report(f"{len(pairs):,} candidate pairs: {output}")
    return len(pairs)


def _row(pair: QueryProductPair) -> tuple[str, ...]:
    product = pair.product
    texts = (pair.marketplace, pair.query, product.id, product.title, product.brand, product.color)
    return tuple(" ".join(text.split()) for text in texts)


def _mixed(judged: Sequence[RelevancePair], queries: int, products: int, seed: int) -> list[QueryProductPair]:
    generator = random.Random(seed)
    by_query: dict[str, dict[str, RelevancePair]] = {}
    for pair in judged:
        by_query.setdefault(pair.query, {})[pair.product_id] = pair
    everything = list({pair.product_id: pair for pair in judged}.values())
    chosen = generator.sample(sorted(by_query), min(queries, len(by_query)))
    pairs = []
    for query in chosen:
        own = dict(list(by_query[query].items())[:products])
        for other in generator.sample(everything, min(products, len(everything))):
            if len(own) < products:
                own.setdefault(other.product_id, other)
        pairs += [QueryProductPair(pair.marketplace, query, pair.product) for pair in own.values()]
    return pairs
