"""From a step of a run to a published model version."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_store.base_encoders import parse_base_encoder
from model_store.manifest import (
    BaseEncoderReference,
    EvaluationSet,
    ManifestDraft,
    MarketplaceEntry,
    ProbePair,
    ThresholdReport,
)
from model_store.version_files import ADAPTERS, write_network
from training.languages import language_of

if TYPE_CHECKING:
    from training.continual import ContinualRun

HISTOGRAM_BINS = 20
PROBE_PAIRS = 4
_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "accelerate", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Publication:
    """A published version and what the promotion rule decided."""

    number: int
    promoted: bool
    reason: str

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def publish_step(run: ContinualRun, trainable_parameters: Mapping[str, int]) -> Publication:
    """Publish the network as it is after the run's newest step."""
    network, route = run.environment.network, run.learner.route
    draft = _draft(run, trainable_parameters)
    published = run.store.publish(
        draft,
        lambda folder: write_network(network, route, folder),
        tolerance=run.configuration.promotion_tolerance,
    )
    return Publication(published.number, published.decision.promoted, published.decision.reason)


def _draft(run: ContinualRun, trainable_parameters: Mapping[str, int]) -> ManifestDraft:
    configuration, route, learner = run.configuration, run.learner.route, run.learner
    histograms, probes = {}, []
    for name in learner.marketplaces:
        data, scores = run.validation_scores(name)
        counts, _ = np.histogram(scores, bins=HISTOGRAM_BINS, range=(0.0, 1.0))
        histograms[name] = [int(count) for count in counts]
        probes += [
            ProbePair(
                marketplace=name,
                query=pair.query,
                product_id=pair.product_id,
                product_title=pair.product_title,
                product_brand=pair.product_brand,
                product_color=pair.product_color,
                product_bullet_points=pair.product_bullet_points,
                product_description=pair.product_description,
                score=float(score),
            )
            for pair, score in zip(run.rows[name]["validation"][:PROBE_PAIRS], scores[:PROBE_PAIRS], strict=True)
        ]
        assert len(scores) == len(data)
    return ManifestDraft(
        parent=run.parent,
        marketplaces=_entries(run, trainable_parameters),
        base_encoder=_base_encoder(run),
        pair_encoding=configuration.pair_encoding,
        adapter=configuration.adapter,
        fusion=configuration.fusion if route.fusion else None,
        fusion_name=route.fusion,
        head=configuration.head,
        metric_matrix=tuple(run.state.validation_matrix),
        test_matrix=tuple(run.state.test_matrix),
        zero_shot=run.state.zero_shot_validation,
        zero_shot_test=run.state.zero_shot_test,
        run=run.files.folder.name,
        evaluation=_evaluation_sets(run),
        training_configuration=configuration.model_dump(mode="json"),
        library_versions={name: importlib.metadata.version(name) for name in _LIBRARIES},
        score_histograms=histograms,
        probe_pairs=tuple(probes),
    )


def _entries(run: ContinualRun, trainable_parameters: Mapping[str, int]) -> tuple[MarketplaceEntry, ...]:
    learner = run.learner
    validation = run.state.validation_matrix[-1]
    entries = []
    for step, name in enumerate(learner.marketplaces, start=1):
        newest = name == learner.marketplaces[-1]
        entries.append(
            MarketplaceEntry(
                name=name,
                language=language_of(name, run.configuration.languages),
                step=step,
                adapter_folder=f"{ADAPTERS}/{name}",
                bottleneck=run.environment.network.adapter_modules(name)[0].bottleneck,
                head=learner.head_of(name),
                threshold=ThresholdReport(**asdict(run.threshold(name))),
                validation_auc=validation[name],
                trainable_parameters=dict(trainable_parameters) if newest else run.state.parameters[name],
            )
        )
    run.state.parameters[learner.marketplaces[-1]] = dict(trainable_parameters)
    return tuple(entries)


def _base_encoder(run: ContinualRun) -> BaseEncoderReference:
    base = parse_base_encoder(run.configuration.base_encoder)
    encoder = run.environment.network.encoder
    return BaseEncoderReference(
        source=base.source,
        digest=base.digest(),
        model_type=str(encoder.encoder.config.model_type),
        hidden_size=encoder.hidden_size,
        layers=encoder.depth,
    )


def _evaluation_sets(run: ContinualRun) -> dict[str, dict[str, EvaluationSet]]:
    sets: dict[str, dict[str, EvaluationSet]] = {}
    for name in run.learner.marketplaces:
        sets[name] = {}
        for part in ("validation", "test"):
            path = run.files.evaluation_path(name, part)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            sets[name][part] = EvaluationSet(
                path=path.relative_to(run.store.root).as_posix(),
                rows=len(run.rows[name][part]),
                sha256=digest,
            )
    return sets
