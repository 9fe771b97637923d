"""Adapter: one adapter and one head per marketplace on the frozen encoder, nothing shared beyond it."""

from __future__ import annotations

import numpy as np

from model_store.encoding.tokens import TokenizedPairs
from model_store.network.interaction import Route
from model_store.network.relevance_network import parameter_count
from training.methods.base import FUSION_SETTINGS, Method, MethodContext
from training.runs.method import ServedVersion
from training.stages.adapter import AdapterStage
from training.stages.anchors import Anchors
from training.stages.environment import TrainingEnvironment, seed_stage
from training.stages.finetuning import add_calibrated_head
from training.stages.finished import finished_stage, is_finished
from training.stages.labelled_tokens import MarketplaceRows, frozen_rows


class Adapter(Method):
    """One adapter per marketplace, trained on its rows and scoring its pairs."""

    name = "adapter"
    title = "Adapter"
    is_continual = False
    unread_settings = FUSION_SETTINGS | {"adapter_start", "finetuning_stage"}

    def __init__(self, context: MethodContext) -> None:
        super().__init__(context)
        self._environment = context.relevance_environment()

    def learn(self, rows: MarketplaceRows) -> None:
        """Train a new adapter and its head."""
        self.refuse_known(rows.marketplace)
        train_adapter(self._environment, rows, self.context)
        self.marketplaces.append(rows.marketplace)

    def logits(self, marketplace: str, pairs: TokenizedPairs) -> np.ndarray:
        """As in `Method`: by the marketplace's own adapter and head."""
        name = self.learnt_or_newest(marketplace)
        head = self._environment.network.heads.names.index(name)
        return self._environment.logits(pairs, Route((name,)), head)

    @property
    def trainable_parameters(self) -> int:
        """The newest adapter and its head."""
        network, newest = self._environment.network, self.marketplaces[-1]
        adapter = [p for module in network.trained_adapter_modules(newest) for p in module.parameters()]
        return parameter_count([*adapter, *network.heads.parameters_of(newest)])

    @property
    def total_parameters(self) -> int:
        """The encoder, all adapters and all heads."""
        return parameter_count(list(self._environment.network.parameters()))

    def served_versions(self) -> tuple[ServedVersion, ...]:
        """One version per marketplace: a version's route is one adapter, or a fusion over all of its."""
        network = self._environment.network
        return tuple(ServedVersion(network, Route((name,)), {name: name}) for name in self.marketplaces)


def train_adapter(environment: TrainingEnvironment, rows: MarketplaceRows, context: MethodContext) -> None:
    """Add an adapter and a head of the marketplace's name to the network and train them on its rows."""
    name, configuration = rows.marketplace, environment.configuration
    seed_stage(configuration.seed, name, "modules")
    environment.network.add_adapter(name)
    environment.network.skip_idle_layers()
    train, validation = rows.train, rows.validation
    folder, anchors = context.folder / "adapters" / name, None
    if not is_finished(folder):
        dropout = configuration.adapter_stage.dropout
        train, validation = frozen_rows(environment, name, train, validation, dropout=dropout)
        anchors = Anchors.of(environment, name, train, dropout)
    add_calibrated_head(environment, name, train)
    seed = seed_stage(configuration.seed, name, "adapter")
    stage = AdapterStage(environment, name, name, train, validation, seed, anchors)
    finished_stage(stage, environment.network, environment.accelerator, folder, configuration.checkpoint_seconds)
