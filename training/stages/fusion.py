"""Fusion stage (eqs. 7-11): a new fusion layer learns the task and keeps to its teacher's attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from model_store.encoding.batch import PairBatch
from model_store.network.interaction import AttentionMaps, Route
from model_store.network.relevance_network import RelevanceNetwork
from training.stages.adapter import task_losses, validation_auc
from training.stages.anchors import Anchors
from training.stages.distillation import attention_distillation_loss, own_adapter_loss
from training.stages.environment import TrainingEnvironment
from training.stages.labelled_tokens import Batch, LabelledTokens, epoch_batches

_NEW = "new"


class FusionStage:
    """Trains the fusion layer over all t adapters, and the head.

    A batch comes either from the new marketplace, and then gives cross-entropy, or from a set translated
    into an older marketplace's language, and then goes through teacher and student and gives the attention
    distillation loss. With `distillation.on_new_data` (section 4.2) every batch is of the new marketplace
    and gives both. With `distillation.own_adapter` the new rows' attention is also drawn to the new adapter.

    Args:
        teacher: route of the previous step: its adapters, and its fusion (None at step 2, where the teacher
            has one adapter and its attention is 1).
        translated: translated rows by older marketplace; empty without translation.
        older_heads: number of the head that scores each older marketplace.
    """

    def __init__(
        self,
        environment: TrainingEnvironment,
        marketplace: str,
        head: str,
        student: Route,
        teacher: Route,
        train: LabelledTokens,
        validation: LabelledTokens,
        translated: Mapping[str, LabelledTokens],
        older_heads: Mapping[str, int],
        seed: int,
        anchors: Anchors | None = None,
    ) -> None:
        self.name = f"{marketplace} fusion"
        self.configuration = environment.configuration.fusion_stage
        self._distillation = environment.configuration.distillation
        self._value_regularisation = environment.configuration.value_regularisation
        self._environment = environment
        self._student, self._teacher = student, teacher
        self._head_name = head
        self._head = environment.network.heads.names.index(head)
        self._sets = {_NEW: train, **translated}
        self._heads = {_NEW: self._head, **older_heads}
        self._validation = validation
        self._seed, self._anchors = seed, anchors

    def parameters(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """The new fusion layer and the head; everything else is frozen."""
        network = self._environment.network
        assert self._student.fusion is not None
        fusion = [p for m in network.trained_fusion_modules(self._student.fusion) for p in m.parameters()]
        head = list(network.heads.parameters_of(self._head_name))
        network.train_only([*fusion, *head])
        rate = self.configuration.learning_rate
        return {"fusion": (fusion, rate), "head": (head, self.configuration.head_learning_rate or rate)}

    def batches(self, epoch: int) -> Sequence[Batch]:
        """Shuffled batches, each of one data set."""
        sizes = {name: len(data) for name, data in self._sets.items()}
        return epoch_batches(sizes, self.configuration.batch_size, self._seed, epoch)

    def losses(self, batch: Batch, rank: int, processes: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        """Losses of each micro-batch, scaled so that their sum is the batch's mean."""
        network = self._environment.network
        data, head = self._sets[batch.data_set], self._heads[batch.data_set]
        rows = batch.rows[rank::processes]
        new = batch.data_set == _NEW
        if new or self._distillation.task_loss_on_translations:
            own = self._own_adapter_loss if new and self._distillation.own_adapter > 0 else None
            yield from task_losses(self._environment, data, rows, len(batch.rows), self._student, head, own)
            if new and self._anchors and rank == 0:
                yield from self._anchors.losses(self._environment, batch, self._student, head, self._seed)
            if self._value_regularisation > 0 and rank == 0:  # gradients are summed over the processes
                assert self._student.fusion is not None
                yield self._value_regularisation * value_distance(network, self._student.fusion), {}
        if self._distillation.weight > 0 and (not new or self._distillation.on_new_data):
            yield from self._distillation_losses(data, rows, len(batch.rows), head)

    def _own_adapter_loss(self, maps: AttentionMaps) -> Tensor:
        total, places = own_adapter_loss(maps)
        return self._distillation.own_adapter * total / places

    def _distillation_losses(
        self, data: LabelledTokens, rows: np.ndarray, batch_size: int, head: int
    ) -> Iterator[tuple[Tensor, dict[str, float]]]:
        environment = self._environment
        budget = environment.configuration.token_budget
        for tokens, labels in data.micro_batches(rows, environment.tokenizer, head, budget, environment.device):
            teacher = self._teacher_maps(tokens)
            student = AttentionMaps()
            with environment.accelerator.autocast():
                environment.network.pair_features(tokens, self._student, student)
            total, places = attention_distillation_loss(
                teacher, student, len(self._teacher.adapters), self._distillation.renormalise
            )
            loss = total / places * (len(labels) / batch_size)
            yield self._distillation.weight * loss, {"distillation": float(loss.detach())}

    def _teacher_maps(self, tokens: PairBatch) -> AttentionMaps:
        network = self._environment.network
        maps = AttentionMaps()
        training = network.training
        network.eval()
        with torch.no_grad(), self._environment.accelerator.autocast():
            network.pair_features(tokens, self._teacher, maps)
        network.train(training)
        return maps

    def validate(self) -> float:
        """ROC-AUC on the new marketplace's validation rows."""
        return validation_auc(self._environment, self._validation, self._student, self._head)


def value_distance(network: RelevanceNetwork, fusion: str) -> Tensor:
    """AdapterFusion's own regularisation: squared distance of a fusion's value matrices from the identity."""
    values = [module.value.weight for module in network.trained_fusion_modules(fusion)]
    return torch.stack(
        [(value - torch.eye(len(value), device=value.device)).square().sum() for value in values]
    ).sum()
