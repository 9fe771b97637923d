"""Attention Distillation without translation (section 4.2 of the paper): both losses on the new rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from model_store.encoding.tokens import TokenizedPairs
from model_store.network.interaction import Route
from model_store.network.relevance_network import parameter_count
from training.configuration import TrainingConfiguration
from training.methods.base import Method, MethodContext
from training.runs.learner import ContinualLearner
from training.runs.publishing import ServedVersion
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows


class AttentionDistillation(Method):
    """An adapter per marketplace; a new fusion per step that keeps to its teacher's attention."""

    name = "attention_distillation"
    title = "Attention Distillation"
    unread_settings = frozenset({"finetuning_stage"})

    def __init__(self, context: MethodContext) -> None:
        super().__init__(replace(context, configuration=self.configured(context.configuration)))
        self._learner = ContinualLearner(self.context.relevance_environment())
        self._trained: dict[str, int] = {}

    @classmethod
    def configured(cls, configuration: TrainingConfiguration) -> TrainingConfiguration:
        """The configuration with what makes it section 4.2: distillation on the new rows, no translation."""
        distillation = configuration.distillation.model_copy(update={"on_new_data": True, "own_adapter": 0.0})
        return configuration.model_copy(update={"distillation": distillation, "translation": "none"})

    def translated(self, rows: MarketplaceRows) -> Mapping[str, LabelledTokens]:
        """The translated rows that the method uses: none here."""
        del rows
        return {}

    def learn(self, rows: MarketplaceRows) -> None:
        """Adapter stage and, from the second marketplace on, fusion stage."""
        marketplace = rows.marketplace
        self.refuse_known(marketplace)
        folder = self.context.folder / f"{len(self.marketplaces) + 1:04d}-{marketplace}"
        result = self._learner.learn(marketplace, rows.train, rows.validation, self.translated(rows), folder)
        self._trained = result.trainable_parameters
        self.marketplaces.append(marketplace)

    def logits(self, marketplace: str, pairs: TokenizedPairs) -> np.ndarray:
        """As in `Method`: all marketplaces through the newest fusion."""
        head = self._learner.head_number(marketplace)
        return self._learner.environment.logits(pairs, self._learner.route, head)

    @property
    def trainable_parameters(self) -> int:
        """The newest adapter, the newest fusion and the head."""
        return sum(self._trained.values())

    @property
    def total_parameters(self) -> int:
        """The encoder, all adapters, the newest fusion and the heads."""
        return parameter_count(list(self._learner.environment.network.parameters()))

    def served_versions(self) -> tuple[ServedVersion, ...]:
        """One version for all marketplaces."""
        learner = self._learner
        route = Route(tuple(self.marketplaces), learner.route.fusion)
        heads = {name: learner.head_of(name) for name in self.marketplaces}
        return (ServedVersion(learner.environment.network, route, heads),)
