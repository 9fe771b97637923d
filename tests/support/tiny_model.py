"""A small real model version, published into a store: random encoder, random adapters, real files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from transformers import BertModel

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoding.configuration import PairEncoding
from model_store.metrics import Threshold
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.versions.manifest import (
    BaseEncoderReference,
    ManifestDraft,
    MarketplaceEntry,
    PlainProbeResult,
    ProbePair,
)
from model_store.versions.store import ModelStore, PublishedVersion
from model_store.versions.weights import write_network
from tests.support.tiny_encoder import write_tiny_encoder

_LANGUAGES = {"us": "en", "jp": "ja"}


def build_tiny_store(
    folder: Path,
    marketplaces: tuple[str, ...] = ("us", "es"),
    *,
    interaction: str = "two_tower",
    seed: int = 0,
) -> Path:
    """Publish one version over `marketplaces` and return the store's root.

    The first marketplaces have a threshold of 0.5, the last has none: nothing of it is highly relevant.
    """
    root = folder / "store"
    write_tiny_encoder(folder / "encoder")
    publish_tiny_version(root, folder / "encoder", marketplaces, interaction=interaction, seed=seed)
    return root


def publish_tiny_version(
    root: Path,
    encoder: Path,
    marketplaces: tuple[str, ...],
    *,
    interaction: str = "two_tower",
    seed: int = 0,
    validation_auc: float = 0.9,
    parent: int | None = None,
    probe_pairs: tuple[ProbePair, ...] = (),
    plain_probes: Mapping[str, PlainProbeResult] = MappingProxyType({}),
) -> PublishedVersion:
    """Publish a random network; other seeds give other weights."""
    network = random_relevance_network(encoder, marketplaces, interaction, seed)
    route = Route(marketplaces, "step-fused" if len(marketplaces) > 1 else None)
    draft = tiny_draft(encoder, marketplaces, interaction, validation_auc=validation_auc, parent=parent)
    draft = draft.model_copy(update={"probe_pairs": probe_pairs, "plain_probes": dict(plain_probes)})
    return ModelStore(root).publish(draft, lambda folder: write_network(network, route, folder))


def random_relevance_network(
    encoder: Path, marketplaces: tuple[str, ...], interaction: str = "two_tower", seed: int = 0
) -> RelevanceNetwork:
    """Adapters, a fusion and a shared head with random weights, in eval mode."""
    torch.manual_seed(seed)
    network = RelevanceNetwork(
        BertModel.from_pretrained(encoder, add_pooling_layer=False),
        PairEncoding(interaction=interaction),
        AdapterConfiguration(bottleneck=8),
        FusionConfiguration(),
        HeadConfiguration(),
    )
    for name in marketplaces:
        network.add_adapter(name)
    if len(marketplaces) > 1:
        network.add_fusion("step-fused")
    network.heads.add("shared")
    for parameter in (*network.adapters.parameters(), *network.fusions.parameters()):
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    for parameter in network.heads.parameters():
        parameter.data.normal_()
    return network.eval()


def tiny_draft(
    encoder: Path,
    marketplaces: tuple[str, ...],
    interaction: str = "two_tower",
    *,
    validation_auc: float = 0.9,
    parent: int | None = None,
) -> ManifestDraft:
    """The manifest draft of such a network."""
    base = parse_base_encoder(str(encoder))
    shape = json.loads((encoder / "config.json").read_text())
    return ManifestDraft(
        parent=parent,
        marketplaces=tuple(
            MarketplaceEntry(
                name=name,
                language=_LANGUAGES.get(name, name),
                step=step,
                adapter_folder=f"adapters/{name}",
                bottleneck=8,
                head="shared",
                threshold=_threshold(None if name == marketplaces[-1] else 0.5),
                validation_auc=validation_auc,
                trainable_parameters={"adapter": 1},
            )
            for step, name in enumerate(marketplaces, start=1)
        ),
        base_encoder=BaseEncoderReference(
            source=base.source,
            digest=base.digest(),
            model_type="bert",
            hidden_size=shape["hidden_size"],
            layers=shape["num_hidden_layers"],
        ),
        pair_encoding=PairEncoding(interaction=interaction),
        adapter=AdapterConfiguration(bottleneck=8),
        fusion=FusionConfiguration() if len(marketplaces) > 1 else None,
        fusion_name="step-fused" if len(marketplaces) > 1 else None,
        head=HeadConfiguration(),
        metric_matrix=tuple(dict.fromkeys(marketplaces, validation_auc) for _ in marketplaces),
        test_matrix=tuple(dict.fromkeys(marketplaces, validation_auc) for _ in marketplaces),
        zero_shot=dict.fromkeys(marketplaces, 0.6),
        run="tiny",
        evaluation={},
        training_configuration={},
        library_versions={},
        score_histograms={},
        probe_pairs=(),
    )


def _threshold(value: float | None) -> Threshold:
    kept = None if value is None else 0.5
    return Threshold(
        target_precision=0.95,
        threshold=value,
        precision=kept,
        recall=kept,
        kept_share=kept,
        rows=100,
        positives=50,
    )
