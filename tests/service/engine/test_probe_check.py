from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import VersionCorruptError
from model_store.versions.manifest import ProbePair
from service.engine.probe_check import check_probes
from service.engine.scorer import Scorer
from tests.support.service.probes import with_probes
from tests.support.service.running import exact_scorer


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
