from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from model_store.errors import VersionCorruptError
from model_store.product import Product, QueryProductPair
from model_store.versions.manifest import LabelledRows, ProbePair
from service.engine.scorer import Scorer
from service.engine.versions.quality import check_probes, compared
from tests.support.service.running import exact_scorer, with_probes


def test_a_form_that_ranks_worse_does_not_hold() -> None:
    pairs = [QueryProductPair("us", "q", Product(str(place), f"{place}")) for place in range(1000)]
    rows = {"us": LabelledRows(pairs, np.array([place % 2 for place in range(1000)]))}

    def exact(asked: Sequence[QueryProductPair]) -> list[float]:
        return [float(int(pair.product.title) % 2) for pair in asked]

    def slightly_worse(asked: Sequence[QueryProductPair]) -> list[float]:
        return [score if place > 1 else 1 - score for place, score in enumerate(exact(asked))]

    def worse(asked: Sequence[QueryProductPair]) -> list[float]:
        return [score if place > 10 else 1 - score for place, score in enumerate(exact(asked))]

    assert compared(rows, exact, exact)["us"].exact == 1.0
    assert compared(rows, exact, slightly_worse)["us"].holds
    assert not compared(rows, exact, worse)["us"].holds


def test_a_version_that_scores_as_published_passes(tiny_store: Path) -> None:
    check_probes(with_probes(exact_scorer(tiny_store)))


def test_a_version_without_probes_passes(tiny_store: Path) -> None:
    check_probes(exact_scorer(tiny_store))


@pytest.mark.parametrize("change", [0.2, float("nan")])
def test_other_scores_are_refused(tiny_store: Path, change: float) -> None:
    scorer: Scorer = with_probes(exact_scorer(tiny_store), change)
    assert isinstance(scorer.manifest.probe_pairs[0], ProbePair)
    with pytest.raises(VersionCorruptError, match=r"version 1 scores its 4 probe pairs .* apart"):
        check_probes(scorer)
