"""Attention Distillation, the method of the paper, without translation (section 4.2) and with it (4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from model_store.encoding.tokens import TokenizedPairs
from model_store.network.interaction import Route
from model_store.network.relevance_network import parameter_count
from training.configuration import TrainingConfiguration
from training.methods.base import Method, MethodContext
from training.runs.learner import ContinualLearner, LearntStep
from training.runs.method import ServedVersion
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows, frozen_rows
from training.stages.loop import StageResult


class AttentionDistillation(Method):
    """An adapter per marketplace; a new fusion per step that keeps to its teacher's attention."""

    name = "attention_distillation"
    title = "Attention Distillation"
    builds_on_versions = True
    unread_settings = frozenset({"finetuning_stage"})

    def __init__(self, context: MethodContext) -> None:
        super().__init__(replace(context, configuration=self.configured(context.configuration)))
        parent = context.parent
        known = ((), None) if parent is None else (parent.manifest.names, parent.route)
        self._learner = ContinualLearner(self.context.relevance_environment(), *known)
        self.marketplaces.extend(known[0])
        self._newest: LearntStep | None = None

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
        translated = self.translated(rows)
        self._newest = self._learner.learn(marketplace, rows.train, rows.validation, translated, folder)
        self.marketplaces.append(marketplace)

    def logits(self, marketplace: str, pairs: TokenizedPairs) -> np.ndarray:
        """As in `Method`: all marketplaces through the newest fusion."""
        head = self._learner.head_number(marketplace)
        return self._learner.environment.logits(pairs, self._learner.route, head)

    def frozen(self, *rows: LabelledTokens) -> list[LabelledTokens]:
        """As in `Method`: the layers below the adapters never change."""
        environment = self._learner.environment
        environment.network.skip_idle_layers()
        return frozen_rows(environment, "evaluation", *rows, dropout=False)

    def logits_of(self, marketplace: str, rows: LabelledTokens) -> np.ndarray:
        """As in `Method`."""
        with self.accelerator.autocast():
            return self._learner.logits(marketplace, rows)

    @property
    def trained_parts(self) -> Mapping[str, int]:
        """The newest adapter, the newest fusion and the head."""
        return {} if self._newest is None else self._newest.trainable_parameters

    @property
    def stages(self) -> Mapping[str, StageResult]:
        """The adapter stage and, from the second marketplace on, the fusion stage."""
        if self._newest is None:
            return {}
        stages = {"adapter": self._newest.adapter, "fusion": self._newest.fusion}
        return {name: stage for name, stage in stages.items() if stage is not None}

    @property
    def trainable_parameters(self) -> int:
        """All of its trained parts."""
        return sum(self.trained_parts.values())

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


class AttentionDistillationTranslation(AttentionDistillation):
    """Cross-entropy on the new rows, attention distillation on those translated into older languages."""

    name = "attention_distillation_translation"
    title = "Attention Distillation with translation"
    uses_translation = True

    @classmethod
    def configured(cls, configuration: TrainingConfiguration) -> TrainingConfiguration:
        """The configuration with what makes it section 4.3: distillation on translated rows only."""
        distillation = configuration.distillation.model_copy(update={"on_new_data": False})
        return configuration.model_copy(update={"distillation": distillation})

    def translated(self, rows: MarketplaceRows) -> Mapping[str, LabelledTokens]:
        """The new rows in the older marketplaces' languages."""
        return rows.translated
