"""Whether a loaded version, or a faster form of it, still gives the scores and the ranking that it must."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_store.errors import VersionCorruptError
from model_store.metrics import roc_auc
from model_store.product import QueryProductPair
from model_store.versions.manifest import LabelledRows, Manifest, read_evaluation_rows
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
    scores = np.array(scorer.score([probe.pair for probe in probes]))
    difference = float(np.abs(scores - np.array([probe.score for probe in probes])).mean())
    # Not `>`: a score that is no number must not pass.
    if not difference <= LARGEST_MEAN_DIFFERENCE:
        raise VersionCorruptError(
            f"version {scorer.model_version} scores its {len(probes)} probe pairs {difference:.3f} apart from "
            f"what was published, on average; at most {LARGEST_MEAN_DIFFERENCE} is right for {scorer.choice.name}"
        )


AUC_TOLERANCE = 0.003
MAX_ROWS = 2000
"""Validation rows of a marketplace that a check scores; more are sampled, with a fixed seed."""

Score = Callable[[Sequence[QueryProductPair]], Sequence[float]]


@dataclass(frozen=True, slots=True)
class AucComparison:
    """Validation ROC-AUC of a marketplace, exact and in the faster form."""

    exact: float
    faster: float

    @property
    def holds(self) -> bool:
        """Whether the faster form is within the tolerance."""
        return abs(self.faster - self.exact) <= AUC_TOLERANCE


def validation_rows(store: Path, manifest: Manifest) -> dict[str, LabelledRows]:
    """Validation rows by marketplace, those where both classes occur.

    Raises:
        VersionCorruptError: a marketplace's rows are not there, or not what was published.
    """
    require_validation_rows(manifest)
    rows = {}
    for name in manifest.names:
        found = _sampled(read_evaluation_rows(store, manifest.evaluation[name]["validation"]))
        if len(np.unique(found.labels)) == 2:
            rows[name] = found
    return rows


def require_validation_rows(manifest: Manifest) -> None:
    """Whether a version says where its validation rows are; they are not read.

    Raises:
        VersionCorruptError: a marketplace has none.
    """
    for name in manifest.names:
        if "validation" not in manifest.evaluation.get(name, {}):
            raise VersionCorruptError(f"version {manifest.number} names no validation rows of {name}")


def compared(rows: dict[str, LabelledRows], exact: Score, faster: Score) -> dict[str, AucComparison]:
    """ROC-AUC of both forms by marketplace."""

    def auc(score: Score, found: LabelledRows) -> float:
        return roc_auc(found.labels, np.array(score(found.pairs)))

    return {name: AucComparison(auc(exact, found), auc(faster, found)) for name, found in rows.items()}


def _sampled(rows: LabelledRows) -> LabelledRows:
    if len(rows.pairs) <= MAX_ROWS:
        return rows
    places = np.sort(np.random.default_rng(0).permutation(len(rows.pairs))[:MAX_ROWS])
    return LabelledRows([rows.pairs[place] for place in places], rows.labels[places])
