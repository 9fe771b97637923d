"""`cross`, `late(k)` and `two_tower` side by side: what pairs over shared texts cost, and what they rank."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encoders import MARKETPLACE, Size, judged_pairs, name_of, subject_of
from benchmarks.loaded import loaded_version
from benchmarks.machine import machine
from model_store.metrics import roc_auc
from model_store.product import QueryProductPair
from model_store.versions.manifest import read_evaluation_rows
from service.engine.backends.choice import TORCH_FLOAT32
from service.engine.batching.token_budget import calibrated_token_budget
from service.engine.folded.network import FoldedNetwork
from service.engine.options import EngineOptions
from service.engine.scorer import Scorer
from service.engine.versions.loading import load_scorer
from training.data.sources import DataSource

CROSS_PAIRS = 1000
"""Of all pairs, how many `cross` and `late(k)` score: their rate does not depend on the number."""

AFRESH_PAIRS = 200
INTERACTIONS = ("cross", "late(3)", "two_tower")


def interactions_benchmark(
    size: Size, adapters_count: int, queries: int, products: int, data: DataSource
) -> dict[str, Any]:
    """Pairs a second of every interaction on all pairs of some queries and products, float32 in torch."""
    texts = judged_pairs(data).pairs
    pairs = crossed(texts, queries, products)
    subject = subject_of(size, texts)
    rows: list[dict[str, Any]] = []
    for interaction in INTERACTIONS:
        loaded = loaded_version(subject, adapters_count, interaction)
        network = FoldedNetwork(loaded.network, loaded.route).pack()
        budget = calibrated_token_budget(network, loaded.route, TORCH_FLOAT32)
        scorer = Scorer(loaded, network, token_budget=budget)
        asked = pairs if interaction == "two_tower" else pairs[:CROSS_PAIRS]
        started = time.perf_counter()
        scores = np.array(scorer.score(asked))
        seconds = time.perf_counter() - started
        rows.append(
            {
                "interaction": interaction,
                "pairs": len(asked),
                "seconds": seconds,
                "pairs_per_second": len(asked) / seconds,
                "largest_difference_from_afresh": _difference(loaded, network, budget, asked, scores),
            }
        )
    base = rows[0]["pairs_per_second"]
    return {
        "benchmark": "interactions",
        "size": size,
        "adapters": adapters_count,
        "queries": queries,
        "products": products,
        "data": name_of(data),
        "rows": [{**row, "times_cross": row["pairs_per_second"] / base} for row in rows],
        "machine": machine(),
    }


def crossed(pairs: Sequence[QueryProductPair], queries: int, products: int) -> list[QueryProductPair]:
    """All pairs of the first distinct queries and products, in an order drawn with a fixed seed."""
    distinct_queries = list(dict.fromkeys(pair.query for pair in pairs))[:queries]
    distinct_products = list({pair.product.title: pair.product for pair in pairs}.values())[:products]
    both = [
        QueryProductPair(MARKETPLACE, query, product)
        for query in distinct_queries
        for product in distinct_products
    ]
    return [both[place] for place in np.random.default_rng(0).permutation(len(both))]


def quality_rows(stores: dict[str, Path]) -> list[dict[str, Any]]:
    """ROC-AUC of trained stores' newest versions on the test rows kept with them, in torch and float32."""
    rows = []
    for interaction, store in stores.items():
        scorer = load_scorer(store, options=EngineOptions("cpu", "torch", "float32"))
        for marketplace, sets in scorer.manifest.evaluation.items():
            test = read_evaluation_rows(store, sets["test"])
            auc = roc_auc(test.labels, np.array(scorer.score(test.pairs)))
            row = {"interaction": interaction, "marketplace": marketplace, "rows": len(test.pairs), "auc": auc}
            rows.append({**row, "untrained_cosine": scorer.manifest.zero_shot_test.get(marketplace)})
    return rows


def _difference(
    loaded: Any, network: FoldedNetwork, budget: int, pairs: Sequence[QueryProductPair], scores: np.ndarray
) -> float:
    """Against scoring each of some pairs in a call of its own, with nothing kept."""
    afresh = Scorer(loaded, network, token_budget=budget, encoded_text_bytes=0)
    places = np.random.default_rng(1).permutation(len(pairs))[:AFRESH_PAIRS]
    return float(max(abs(afresh.score([pairs[place]])[0] - scores[place]) for place in places))
