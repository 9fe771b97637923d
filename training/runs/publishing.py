"""From a trained network and what was measured of it to a published model version."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Protocol

import numpy as np

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoding.tokens import PairTokenizer
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.network.scoring import probabilities, score_tokenized
from model_store.versions.manifest import (
    BaseEncoderReference,
    EvaluationSet,
    ManifestDraft,
    MarketplaceEntry,
    ProbePair,
    ThresholdReport,
)
from model_store.versions.plain_probes import plain_probe_results
from model_store.versions.store import ModelStore
from model_store.versions.weights import ADAPTERS, write_network
from training.configuration import TrainingConfiguration
from training.data.pairs import RelevancePair
from training.evaluation import highly_relevant_threshold, roc_auc
from training.languages import language_of
from training.runs.files import RunFiles
from training.stages.environment import run_folder_of
from training.stages.labelled_tokens import LabelledTokens
from training.stages.zero_shot import zero_shot_cosine

EvaluationRows = Mapping[str, Mapping[str, Sequence[RelevancePair]]]
"""Rows by marketplace, and by "validation" and "test"."""
HISTOGRAM_BINS = 20
PROBE_PAIRS = 4
_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "accelerate", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """What the model store can hold of a method as one version, for the service to score with.

    Args:
        route: its adapters are the version's marketplaces, in the order of learning.
        heads: name of the head that scores each of them.
    """

    network: RelevanceNetwork
    route: Route
    heads: Mapping[str, str]


class PublishedMethod(Protocol):
    """What is published of a method that has learnt its marketplaces."""

    name: ClassVar[str]

    @property
    def configuration(self) -> TrainingConfiguration:
        """What decided how it learnt."""

    @property
    def tokenizer(self) -> PairTokenizer:
        """Its network's tokenizer."""

    @property
    def trainable_parameters(self) -> int:
        """Weights that the newest step trained."""

    def served_versions(self) -> tuple[ServedVersion, ...]:
        """One for all marketplaces, one each, or none."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A published version and what the promotion rule decided.

    `plain_probes` has, by marketplace, the share of its language's plain probes that is ranked right: `now`,
    `previous` (the parent's, else the untrained encoder's) and `untrained`.
    """

    number: int
    promoted: bool
    reason: str
    plain_probes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def plain_probe_line(self) -> str:
        """A line for people; empty where no marketplace's language has probes."""
        return ", ".join(
            f"{name} {shares['previous']:.3f} -> {shares['now']:.3f} (untrained {shares['untrained']:.3f})"
            for name, shares in self.plain_probes.items()
        )

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


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


def publish_method(
    method: PublishedMethod,
    store: ModelStore,
    run: str,
    rows: EvaluationRows,
    test_matrix: Sequence[Mapping[str, float]],
    zero_shot_test: Mapping[str, float],
    trainable_parameters: Mapping[str, int],
) -> list[Publication]:
    """Publish what the model store can hold of a method that has learnt all of its marketplaces.

    Args:
        run: names the folder in the store's `runs/` that the evaluation rows are written to.
        test_matrix: R so far, one row per step; one row of a joint method.
        zero_shot_test: ROC-AUC of the untrained encoder on the test rows.
        trainable_parameters: weights that each marketplace's step trained; for one that had no step of its own,
            those of the newest step are noted.

    Returns:
        The versions: one for all marketplaces, or one each where nothing is shared (`adapter`); none of a
        method whose form the model store cannot hold.
    """
    files = RunFiles(run_folder_of(store.root, run))
    newest = method.trainable_parameters
    publications = []
    for version in method.served_versions():
        names = version.route.adapters
        kept = {name: {part: tuple(rows[name][part]) for part in ("validation", "test")} for name in names}
        for name, sets in kept.items():
            files.keep_evaluation(name, sets)
        tokens = {name: LabelledTokens.of(kept[name]["validation"], method.tokenizer) for name in names}
        scores = {name: _exact_scores(method, version, name, tokens[name]) for name in names}
        facts = VersionFacts(
            method=method.name,
            configuration=method.configuration,
            parent=None,
            run=run,
            validation={name: ScoredRows(kept[name]["validation"], scores[name]) for name in names},
            validation_matrix=[{name: roc_auc(tokens[name].labels, scores[name]) for name in names}],
            test_matrix=test_matrix if len(test_matrix) == len(names) else test_matrix[-1:],
            zero_shot={name: _zero_shot(method, version, tokens[name]) for name in names},
            zero_shot_test={name: zero_shot_test[name] for name in names},
            evaluation=evaluation_sets(store, files, kept),
            trainable_parameters={name: {"step": trainable_parameters.get(name, newest)} for name in names},
        )
        publications.append(publish_version(store, version, method.tokenizer, facts))
    return publications


def _exact_scores(
    method: PublishedMethod, version: ServedVersion, marketplace: str, rows: LabelledTokens
) -> np.ndarray:
    """(N) scores in [0, 1] as a loaded copy gives them: float32 whatever the training's precision."""
    network, tokenizer = version.network, method.tokenizer
    heads = np.full(len(rows), network.heads.names.index(version.heads[marketplace]), dtype=np.int64)
    return probabilities(score_tokenized(network, tokenizer, rows.tokenized, version.route, heads))


def _zero_shot(method: PublishedMethod, version: ServedVersion, rows: LabelledTokens) -> float:
    return roc_auc(rows.labels, zero_shot_cosine(version.network, method.tokenizer, rows))


def publish_version(
    store: ModelStore, version: ServedVersion, tokenizer: PairTokenizer, facts: VersionFacts
) -> Publication:
    """Ask the version the plain probes, write it, and apply the promotion rule."""
    draft = _draft(version, tokenizer, facts)
    published = store.publish(
        draft,
        lambda folder: write_network(version.network, version.route, folder),
        tolerance=facts.configuration.promotion_tolerance,
    )
    decision = published.decision
    shares = {
        name: {"previous": change.previous, "now": change.now, "untrained": draft.plain_probes[name].untrained}
        for name, change in decision.plain_probes.items()
    }
    return Publication(published.number, decision.promoted, decision.reason_and_warnings, shares)


def _draft(version: ServedVersion, tokenizer: PairTokenizer, facts: VersionFacts) -> ManifestDraft:
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
            product_id=pair.product_id,
            product_title=pair.product_title,
            product_brand=pair.product_brand,
            product_color=pair.product_color,
            product_bullet_points=pair.product_bullet_points,
            product_description=pair.product_description,
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
        threshold=ThresholdReport(**asdict(highly_relevant_threshold(rows.labels, rows.scores, target))),
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


def evaluation_sets(
    store: ModelStore, files: RunFiles, rows: Mapping[str, Mapping[str, Sequence[RelevancePair]]]
) -> dict[str, dict[str, EvaluationSet]]:
    """References to the validation and test rows that the run keeps in the store."""
    return {
        name: {
            part: _evaluation_set(store, files, name, part, len(parts[part])) for part in ("validation", "test")
        }
        for name, parts in rows.items()
    }


def _evaluation_set(store: ModelStore, files: RunFiles, name: str, part: str, rows: int) -> EvaluationSet:
    path = files.evaluation_path(name, part)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return EvaluationSet(path=path.relative_to(store.root).as_posix(), rows=rows, sha256=digest)
