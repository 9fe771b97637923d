"""What HAT, B-CL and CTR have in common: shared adapters under a marketplace's masks, and a head for each."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from model_store.encoding.tokens import TokenizedPairs
from model_store.network.interaction import Route
from model_store.network.relevance_network import parameter_count
from training.configuration import MaskedConfiguration
from training.methods.base import ADAPTER_SETTINGS, FUSION_SETTINGS, Method, MethodContext
from training.methods.masked.adapter import MaskedAdapter
from training.methods.masked.network import TaskNetwork
from training.methods.masked.stage import MaskedStage
from training.stages.adapter import calibrate_cosine
from training.stages.environment import TrainingEnvironment, seed_stage
from training.stages.finished import finished_stage
from training.stages.labelled_tokens import MarketplaceRows


class MaskedMethod(Method):
    """Learns marketplaces in one set of adapters, whose units each marketplace takes by its masks.

    Every marketplace has a head of its own, as in the references.
    """

    unread_settings = FUSION_SETTINGS | ADAPTER_SETTINGS | {"adapter", "fusion", "finetuning_stage"}

    def __init__(self, context: MethodContext) -> None:
        super().__init__(context)
        configuration = context.configuration
        seed_stage(configuration.seed, self.name)
        encoder = context.load_encoder()
        width = int(encoder.config.hidden_size)
        network = TaskNetwork(
            encoder, configuration.pair_encoding, configuration.head, lambda: self.new_adapter(width)
        )
        network.to(context.accelerator.device)
        self._environment = TrainingEnvironment(configuration, network, context.tokenizer, context.accelerator)

    @property
    @abstractmethod
    def settings(self) -> MaskedConfiguration:
        """The method's own part of the configuration."""

    @abstractmethod
    def new_adapter(self, hidden_size: int) -> MaskedAdapter:
        """The adapter of one place."""

    def learn(self, rows: MarketplaceRows) -> None:
        """Train the free units, the marketplace's masks and its head."""
        self.refuse_known(rows.marketplace)
        environment, network, name = self._environment, self._environment.network, rows.marketplace
        configuration = environment.configuration
        seed_stage(configuration.seed, name, "modules")
        network.add_task(name)
        if configuration.head.kind == "similarity":
            calibrate_cosine(environment, name, rows.train)
        seed = seed_stage(configuration.seed, name, self.name)
        stage = MaskedStage(environment, self.settings, rows, self.marketplaces, seed)
        folder = self.context.folder / name
        finished_stage(stage, network, environment.accelerator, folder, configuration.checkpoint_seconds)
        self.marketplaces.append(name)

    def logits(self, marketplace: str, pairs: TokenizedPairs) -> np.ndarray:
        """As in `Method`: under the marketplace's masks, by its head."""
        name = self.learnt_or_newest(marketplace)
        return self._environment.logits(pairs, Route((name,)), self.marketplaces.index(name))

    @property
    def trainable_parameters(self) -> int:
        """The shared weights, protected ones included, and the newest marketplace's masks, capsule and head."""
        network = self._environment.network
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return parameter_count(trained)

    @property
    def total_parameters(self) -> int:
        """The encoder, the adapters with all masks, and all heads."""
        return parameter_count(list(self._environment.network.parameters()))
