"""Adapter Fusion, not sequential (Pfeiffer et al. 2020a): one fusion over all adapters, on all rows together.

No continual method: it needs every marketplace's rows at once. It is the bound that continual ones are held to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from model_store.encoding.tokens import TokenizedPairs
from model_store.network.head import SHARED_HEAD, RelevanceHeads
from model_store.network.interaction import Route
from model_store.network.relevance_network import parameter_count
from training.methods.adapter import train_adapter
from training.methods.base import Method, MethodContext
from training.runs.method import ServedVersion
from training.stages.adapter import task_losses, validation_auc
from training.stages.environment import TrainingEnvironment, seed_stage
from training.stages.finished import finished_stage, is_finished
from training.stages.fusion import value_distance
from training.stages.labelled_tokens import Batch, MarketplaceRows, epoch_batches, frozen_rows

FUSION = "joint"


class JointFusionStage:
    """Cross-entropy on the rows of all marketplaces with the fusion layer and the heads trainable.

    A batch is of one marketplace and is scored by its head.
    """

    def __init__(
        self,
        environment: TrainingEnvironment,
        route: Route,
        heads: Mapping[str, str],
        rows: Mapping[str, MarketplaceRows],
        seed: int,
    ) -> None:
        self.name = "joint fusion"
        self.configuration = environment.configuration.fusion_stage
        self._environment, self._route, self._rows, self._seed = environment, route, rows, seed
        self._head_names = list(dict.fromkeys(heads.values()))
        names = environment.network.heads.names
        self._heads = {marketplace: names.index(head) for marketplace, head in heads.items()}

    def parameters(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """The fusion layer and the heads; everything else is frozen."""
        network = self._environment.network
        fusion = [p for module in network.trained_fusion_modules(FUSION) for p in module.parameters()]
        heads = [p for name in self._head_names for p in network.heads.parameters_of(name)]
        network.train_only([*fusion, *heads])
        rate = self.configuration.learning_rate
        return {"fusion": (fusion, rate), "heads": (heads, self.configuration.head_learning_rate or rate)}

    def batches(self, epoch: int) -> Sequence[Batch]:
        """Shuffled batches, each of one marketplace."""
        sizes = {marketplace: len(rows.train) for marketplace, rows in self._rows.items()}
        return epoch_batches(sizes, self.configuration.batch_size, self._seed, epoch)

    def losses(self, batch: Batch, rank: int, processes: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        """Cross-entropy of each micro-batch, and the value matrices' regularisation."""
        environment, head = self._environment, self._heads[batch.data_set]
        train, rows = self._rows[batch.data_set].train, batch.rows[rank::processes]
        yield from task_losses(environment, train, rows, len(batch.rows), self._route, head)
        weight = environment.configuration.value_regularisation
        if weight > 0 and rank == 0:  # gradients are summed over the processes
            yield weight * value_distance(environment.network, FUSION), {}

    def validate(self) -> float:
        """Mean ROC-AUC over the marketplaces' validation rows."""
        areas = [
            validation_auc(self._environment, rows.validation, self._route, self._heads[marketplace])
            for marketplace, rows in self._rows.items()
        ]
        return float(np.mean(areas))


class AdapterFusionJoint(Method):
    """Every adapter on its own rows, then one fusion layer on the rows of all."""

    name = "adapter_fusion_joint"
    title = "Adapter Fusion (joint)"
    is_joint = True
    is_continual = False
    unread_settings = frozenset(
        {"adapter_start", "fusion_start", "distillation", "translated_share", "finetuning_stage"}
    )

    def __init__(self, context: MethodContext) -> None:
        super().__init__(context)
        self._environment = context.relevance_environment()
        self._heads: dict[str, str] = {}

    def learn(self, rows: MarketplaceRows) -> None:
        """Refused: it learns all marketplaces together.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{self.name} learns all marketplaces together, not {rows.marketplace} alone")

    def learn_together(self, rows: Mapping[str, MarketplaceRows]) -> None:
        """Train the adapters one by one, and the fusion over them on all rows."""
        self.refuse_known(*rows)
        environment = self._environment
        network, configuration = environment.network, environment.configuration
        for one in rows.values():
            train_adapter(environment, one, self.context)
        self._heads = {name: name for name in rows}
        if configuration.head.policy == "shared":
            merge_heads(network.heads, list(rows))
            self._heads = dict.fromkeys(rows, SHARED_HEAD)
        self.marketplaces.extend(rows)
        seed = seed_stage(configuration.seed, FUSION)
        network.add_fusion(FUSION)
        folder = self.context.folder / "fusion"
        if not is_finished(folder):
            rows = _frozen(environment, rows)
        stage = JointFusionStage(environment, self._route, self._heads, rows, seed)
        finished_stage(stage, network, environment.accelerator, folder, configuration.checkpoint_seconds)

    @property
    def _route(self) -> Route:
        return Route(tuple(self.marketplaces), FUSION)

    def logits(self, marketplace: str, pairs: TokenizedPairs) -> np.ndarray:
        """As in `Method`."""
        name = self._heads[self.learnt_or_newest(marketplace)]
        return self._environment.logits(pairs, self._route, self._environment.network.heads.names.index(name))

    @property
    def trainable_parameters(self) -> int:
        """All adapters, the fusion and the heads."""
        network = self._environment.network
        adapters = [module for name in self.marketplaces for module in network.trained_adapter_modules(name)]
        parts = (*adapters, *network.trained_fusion_modules(FUSION), network.heads)
        return parameter_count([parameter for part in parts for parameter in part.parameters()])

    @property
    def total_parameters(self) -> int:
        """The encoder and what was trained."""
        return parameter_count(list(self._environment.network.parameters()))

    def served_versions(self) -> tuple[ServedVersion, ...]:
        """One version for all marketplaces."""
        return (ServedVersion(self._environment.network, self._route, self._heads),)


def _frozen(environment: TrainingEnvironment, rows: Mapping[str, MarketplaceRows]) -> dict[str, MarketplaceRows]:
    parts = [part for one in rows.values() for part in (one.train, one.validation)]
    sets = frozen_rows(environment, "all", *parts, dropout=environment.configuration.fusion_stage.dropout)
    trains, validations = sets[::2], sets[1::2]
    return {
        name: replace(one, train=train, validation=validation)
        for (name, one), train, validation in zip(rows.items(), trains, validations, strict=True)
    }


def merge_heads(heads: RelevanceHeads, names: Sequence[str]) -> None:
    """Put one shared head, their mean, in the place of the heads that the adapters were trained with."""
    with torch.no_grad():
        heads.add(SHARED_HEAD, names[0])
        heads.weights[SHARED_HEAD].copy_(torch.stack([heads.weights[name] for name in names]).mean(0))
        heads.biases[SHARED_HEAD].copy_(torch.stack([heads.biases[name] for name in names]).mean(0))
    for name in names:
        del heads.weights[name]
        del heads.biases[name]
