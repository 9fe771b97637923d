"""A version in memory that was never stored, random adapters over an encoder, and the forms of its network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import torch

from benchmarks.encoders import BOTTLENECK, FUSION, Subject, market_names, network_of
from model_store.encoders.completeness import token_limit
from model_store.encoding.configuration import PairEncoding
from model_store.encoding.tokens import PairTokenizer
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.network.interaction import PairNetwork, Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.versions.loading import LoadedVersion
from model_store.versions.manifest import BaseEncoderReference, Manifest, MarketplaceEntry, PromotionDecision
from service.engine.backends.choice import EngineChoice, engine_choices
from service.engine.backends.forms import ServedForms
from service.engine.backends.rates import LAYERS, measured_rates, run_random, worthwhile
from service.engine.folded.network import FoldedNetwork
from service.engine.options import EngineOptions


def loaded_version(subject: Subject, adapters_count: int, interaction: str = "cross") -> LoadedVersion:
    """What a scorer takes, with `adapters_count` marketplaces."""
    network, route = network_of(subject, adapters_count, interaction)
    encoding = PairEncoding(interaction=interaction)
    manifest = Manifest(
        number=1,
        created_at=datetime.now(UTC),
        promotion=PromotionDecision(promoted=True, reason="measured only", tolerance=0.01),
        files={},
        parent=None,
        marketplaces=tuple(_entry(name, step) for step, name in enumerate(market_names(adapters_count), start=1)),
        base_encoder=BaseEncoderReference(
            source="in memory",
            digest="",
            model_type=subject.encoder.config.model_type,
            hidden_size=subject.hidden_size,
            layers=network.depth,
        ),
        pair_encoding=encoding,
        adapter=AdapterConfiguration(bottleneck=BOTTLENECK),
        fusion=FusionConfiguration(),
        fusion_name=FUSION,
        head=HeadConfiguration(),
        metric_matrix=(),
        test_matrix=(),
        zero_shot={},
        run="",
        evaluation={},
        training_configuration={},
        library_versions={},
        score_histograms={},
        probe_pairs=(),
    )
    tokenizer = PairTokenizer(subject.tokenizer, encoding, token_limit(subject.encoder))
    return LoadedVersion(manifest, network, tokenizer, route)


def _entry(name: str, step: int) -> MarketplaceEntry:
    return MarketplaceEntry(
        name=name,
        language="en",
        step=step,
        adapter_folder=f"adapters/{name}",
        bottleneck=BOTTLENECK,
        head="shared",
        threshold=None,
        validation_auc=None,
        trainable_parameters={},
    )


def forms_of(
    network: RelevanceNetwork, route: Route, calibrate: Callable[[FoldedNetwork], object]
) -> dict[EngineChoice, PairNetwork]:
    """The network in all forms that a CPU has.

    Args:
        calibrate: computes the rows from which int8 finds its scales.
    """
    return _networks(network, route, calibrate, None)


def chosen_form(network: RelevanceNetwork, route: Route) -> EngineChoice:
    """The form that `auto` tries first: the fastest through some layers, as measured when a version is loaded."""
    networks = _networks(network, route, run_random, LAYERS)
    return worthwhile(list(networks), measured_rates(networks, route))[0]


def _networks(
    network: RelevanceNetwork, route: Route, calibrate: Callable[[FoldedNetwork], object], layers: int | None
) -> dict[EngineChoice, PairNetwork]:
    found = {}
    for choice in engine_choices(EngineOptions(), torch.device("cpu")):
        # Each from a folded network of its own: packing uses it up.
        forms = ServedForms(network, route, layers)
        found[choice] = forms.network(choice, forms.files(choice, calibrate))
    return found
