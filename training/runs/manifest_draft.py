"""A version's manifest, from its network and what was measured of it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoding.tokens import PairTokenizer
from model_store.metrics import highly_relevant_threshold
from model_store.network.relevance_network import RelevanceNetwork
from model_store.versions.manifest import (
    BaseEncoderReference,
    EvaluationSet,
    ManifestDraft,
    MarketplaceEntry,
    ProbePair,
)
from model_store.versions.plain_probes import plain_probe_results
from model_store.versions.weights import ADAPTERS
from training.configuration import TrainingConfiguration
from training.data.pairs import RelevancePair
from training.languages import language_of
from training.runs.method import ServedVersion

HISTOGRAM_BINS = 20
PROBE_PAIRS = 4
_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "accelerate", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """A marketplace's validation rows, and the exact scores in [0, 1] that the version gives them."""

    pairs: Sequence[RelevancePair]
    scores: np.ndarray  # (pairs) float32

    @property
    def labels(self) -> np.ndarray:
        """(pairs) float32, 0 or 1."""
        return np.array([pair.label for pair in self.pairs], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What a manifest says that the network does not.

    Args:
        method: name of the method that trained it.
        parent: number of the version that it was trained on top of.
        run: name of the run in the store's `runs/`.
        validation: by marketplace of the version.
        validation_matrix: R on validation rows, one row per step; likewise `test_matrix`.
        zero_shot: ROC-AUC of the untrained encoder on validation rows; likewise `zero_shot_test`.
        evaluation: the rows' files in the store.
        trainable_parameters: by marketplace and part.
    """

    method: str
    configuration: TrainingConfiguration
    parent: int | None
    run: str
    validation: Mapping[str, ScoredRows]
    validation_matrix: Sequence[Mapping[str, float]]
    test_matrix: Sequence[Mapping[str, float]]
    zero_shot: Mapping[str, float]
    zero_shot_test: Mapping[str, float]
    evaluation: Mapping[str, Mapping[str, EvaluationSet]]
    trainable_parameters: Mapping[str, Mapping[str, int]]


def manifest_draft(version: ServedVersion, tokenizer: PairTokenizer, facts: VersionFacts) -> ManifestDraft:
    """The manifest as far as it is known before the store gives the version a number."""
    configuration, names = facts.configuration, version.route.adapters
    languages = {name: language_of(name, configuration.languages) for name in names}
    return ManifestDraft(
        method=facts.method,
        parent=facts.parent,
        marketplaces=tuple(_entry(version, facts, name) for name in names),
        base_encoder=_base_encoder(configuration, version.network),
        pair_encoding=configuration.pair_encoding,
        adapter=configuration.adapter,
        fusion=configuration.fusion if version.route.fusion else None,
        fusion_name=version.route.fusion,
        head=configuration.head,
        metric_matrix=tuple(dict(row) for row in facts.validation_matrix),
        test_matrix=tuple(dict(row) for row in facts.test_matrix),
        zero_shot=dict(facts.zero_shot),
        zero_shot_test=dict(facts.zero_shot_test),
        run=facts.run,
        evaluation={name: dict(sets) for name, sets in facts.evaluation.items()},
        training_configuration=configuration.model_dump(mode="json"),
        library_versions={name: importlib.metadata.version(name) for name in _LIBRARIES},
        score_histograms={name: _histogram(facts.validation[name].scores) for name in names},
        plain_probes=plain_probe_results(version.network, tokenizer, version.route, version.heads, languages),
        probe_pairs=tuple(probe for name in names for probe in _probes(name, facts.validation[name])),
    )


def _histogram(scores: np.ndarray) -> list[int]:
    counts, _ = np.histogram(scores, bins=HISTOGRAM_BINS, range=(0.0, 1.0))
    return [int(count) for count in counts]


def _probes(marketplace: str, rows: ScoredRows) -> list[ProbePair]:
    assert len(rows.scores) == len(rows.pairs)
    return [
        ProbePair(
            marketplace=marketplace,
            query=pair.query,
            **pair.product.flat(),
            score=float(score),
        )
        for pair, score in zip(rows.pairs[:PROBE_PAIRS], rows.scores[:PROBE_PAIRS], strict=True)
    ]


def _entry(version: ServedVersion, facts: VersionFacts, name: str) -> MarketplaceEntry:
    rows, target = facts.validation[name], facts.configuration.target_precision
    return MarketplaceEntry(
        name=name,
        language=language_of(name, facts.configuration.languages),
        step=version.route.adapters.index(name) + 1,
        adapter_folder=f"{ADAPTERS}/{name}",
        bottleneck=version.network.adapter_modules(name)[0].bottleneck,
        head=version.heads[name],
        threshold=highly_relevant_threshold(rows.labels, rows.scores, target),
        validation_auc=facts.validation_matrix[-1][name],
        trainable_parameters=dict(facts.trainable_parameters[name]),
    )


def _base_encoder(configuration: TrainingConfiguration, network: RelevanceNetwork) -> BaseEncoderReference:
    base = parse_base_encoder(configuration.base_encoder)
    return BaseEncoderReference(
        source=base.source,
        digest=base.digest(),
        model_type=str(network.encoder.encoder.config.model_type),
        hidden_size=network.encoder.hidden_size,
        layers=network.encoder.depth,
    )
