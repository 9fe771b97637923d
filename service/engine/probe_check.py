"""Whether a loaded version gives the scores that it gave when it was published."""

from __future__ import annotations

import numpy as np

from model_store.errors import VersionCorruptError
from model_store.product import Product, QueryProductPair
from model_store.versions.manifest import ProbePair
from service.engine.scorer import Scorer

LARGEST_MEAN_DIFFERENCE = 0.03
"""Of scores; int8 and bf16 stay far below, other weights far above."""


def check_probes(scorer: Scorer) -> None:
    """Score the version's probe pairs, which also warms it.

    Raises:
        VersionCorruptError: the scores are not those that the version was published with.
    """
    probes = scorer.manifest.probe_pairs
    if not probes:
        return
    scores = np.array(scorer.score([_pair(probe) for probe in probes]))
    difference = float(np.abs(scores - np.array([probe.score for probe in probes])).mean())
    # Not `>`: a score that is no number must not pass.
    if not difference <= LARGEST_MEAN_DIFFERENCE:
        raise VersionCorruptError(
            f"version {scorer.model_version} scores its {len(probes)} probe pairs {difference:.3f} apart from "
            f"what was published, on average; at most {LARGEST_MEAN_DIFFERENCE} is right for {scorer.choice.name}"
        )


def _pair(probe: ProbePair) -> QueryProductPair:
    product = Product(
        id=probe.product_id,
        title=probe.product_title,
        brand=probe.product_brand,
        color=probe.product_color,
        bullet_points=probe.product_bullet_points,
        description=probe.product_description,
    )
    return QueryProductPair(probe.marketplace, probe.query, product)
