"""From a step of a run to a published model version."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy

from model_store.base_encoders import parse_base_encoder
from model_store.manifest import (
    BaseEncoderReference,
    EvaluationSet,
    EvaluationSets,
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
        counts, _ = numpy.histogram(scores, bins=HISTOGRAM_BINS, range=(0.0, 1.0))
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
        run=run.files.folder.name,
        evaluation=_evaluation_sets(run),
        training_configuration=configuration.model_dump(mode="json"),
        library_versions={name: importlib.metadata.version(name) for name in _LIBRARIES},
        score_histograms=histograms,
        probe_pairs=tuple(probes),
    )
