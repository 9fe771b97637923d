"""DyTox (Douillard et al. 2022) in a text form: task attention over a shared encoder.

Every marketplace has a task token and a head, frozen after its step; the encoder and the task attention keep to
the previous model by distillation on the new rows. No rehearsal: no older row is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model_store.encoding.tokens import TokenizedPairs
from model_store.network.interaction import Route
from model_store.network.relevance_network import parameter_count
from training.methods.base import ADAPTER_SETTINGS, FUSION_SETTINGS, Method, MethodContext
from training.methods.dytox.task_attention import TaskTokenNetwork
from training.stages.adapter import validation_auc
from training.stages.environment import TrainingEnvironment, seed_stage
from training.stages.finetuning import (
    add_calibrated_head,
    encoder_parameters,
    use_vocabulary_rows,
    whole_model_parameters,
)
from training.stages.finished import finished_stage
from training.stages.labelled_tokens import Batch, MarketplaceRows, epoch_batches

_ROWS = "rows"
_OLDER = 0  # the divergence head's class for what an older task token reads; then not relevant, relevant


class DytoxStage:
    """Encoder, task attention, newest task token and newest head learn a marketplace.

    With t marketplaces the loss is 1/t of the cross-entropy and (t-1)/t of the distillation, as in the reference,
    and the divergence head's.

    Args:
        teacher: the network before this step; None at the first.
        divergence: tells what the newest task token reads from what older ones do; None at the first step.
    """

    def __init__(
        self,
        environment: TrainingEnvironment[TaskTokenNetwork],
        rows: MarketplaceRows,
        teacher: TaskTokenNetwork | None,
        divergence: nn.Module | None,
        seed: int,
    ) -> None:
        self.name = f"{rows.marketplace} task attention"
        self.configuration = environment.configuration.dytox.stage
        self._environment, self._rows, self._seed = environment, rows, seed
        self._teacher, self._divergence = teacher, divergence
        self._names = environment.network.heads.names

    def parameters(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """The encoder, and all of the task's own: older task tokens and heads are frozen."""
        network, newest = self._environment.network, self._names[-1]
        encoder = encoder_parameters(network)
        task = [*network.task_attention.parameters(), network.task_tokens[newest]]
        task += network.heads.parameters_of(newest)
        network.train_only([*encoder, *task])
        if self._divergence is not None:
            task += self._divergence.parameters()
        rate = self.configuration.learning_rate
        return {"encoder": (encoder, rate), "task": (task, self.configuration.head_learning_rate or rate)}

    def batches(self, epoch: int) -> Sequence[Batch]:
        """Shuffled batches of the marketplace's training rows."""
        return epoch_batches({_ROWS: len(self._rows.train)}, self.configuration.batch_size, self._seed, epoch)

    def losses(self, batch: Batch, rank: int, processes: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        """Loss of each micro-batch, scaled so that their sum is the batch's mean."""
        environment, settings = self._environment, self._environment.configuration.dytox
        budget, older = environment.configuration.token_budget, len(self._names) - 1
        rows = batch.rows[rank::processes]
        data = self._rows.train.micro_batches(rows, environment.tokenizer, 0, budget, environment.device)
        for tokens, labels in data:
            share = len(labels) / len(batch.rows)
            with environment.accelerator.autocast():
                features = environment.network.pair_features(tokens, Route(tuple(self._names)))
            features = features.float().view(len(labels), older + 1, -1)
            logits = task_logits(environment.network, self._names, features)
            cross_entropy = functional.binary_cross_entropy_with_logits(logits[:, -1], labels)
            loss, parts = cross_entropy / (older + 1), {"cross-entropy": cross_entropy}
            if self._teacher is not None and self._divergence is not None:
                with torch.no_grad(), environment.accelerator.autocast():
                    taught = self._teacher.pair_features(tokens, Route(tuple(self._names[:-1])))
                taught = taught.float().view(len(labels), older, -1)
                parts["distillation"] = logit_distillation(
                    task_logits(self._teacher, self._names[:-1], taught), logits[:, :-1]
                )
                parts["divergence"] = divergence_loss(self._divergence, features, labels)
                loss = loss + settings.distillation_weight * older / (older + 1) * parts["distillation"]
                loss = loss + settings.divergence_weight * parts["divergence"]
            yield share * loss, {name: share * float(part.detach()) for name, part in parts.items()}

    def validate(self) -> float:
        """ROC-AUC on the marketplace's validation rows, read by its own task token."""
        newest = self._names[-1]
        head = len(self._names) - 1
        return validation_auc(self._environment, self._rows.validation, Route((newest,)), head)


class Dytox(Method):
    """Task tokens over a shared encoder that goes on learning."""

    name = "dytox"
    title = "DyTox"
    unread_settings = FUSION_SETTINGS | ADAPTER_SETTINGS | {"adapter", "fusion", "finetuning_stage"}

    def __init__(self, context: MethodContext) -> None:
        super().__init__(context)
        configuration = context.configuration
        seed_stage(configuration.seed, self.name)
        network = TaskTokenNetwork(context.load_encoder(), configuration.pair_encoding, configuration.head)
        network.to(context.accelerator.device)
        self._environment = TrainingEnvironment(configuration, network, context.tokenizer, context.accelerator)
        self._divergence_parameters = 0

    def learn(self, rows: MarketplaceRows) -> None:
        """Add a task token and a head, and train them with the shared weights."""
        self.refuse_known(rows.marketplace)
        environment, network = self._environment, self._environment.network
        teacher = self._teacher() if self.marketplaces else None
        seed = seed_stage(environment.configuration.seed, rows.marketplace, self.name)
        divergence = self._add_task(rows)
        vocabulary = use_vocabulary_rows(network, rows.train.token_ids(environment.tokenizer))
        stage = DytoxStage(environment, rows, teacher, divergence, seed)
        folder = self.context.folder / rows.marketplace
        seconds = environment.configuration.checkpoint_seconds
        finished_stage(stage, network, environment.accelerator, folder, seconds)
        network.encoder.replace_word_embeddings(vocabulary.merged())
        self._divergence_parameters = parameter_count(list(divergence.parameters())) if divergence else 0
        self.marketplaces.append(rows.marketplace)

    def _teacher(self) -> TaskTokenNetwork:
        """A copy of the network; the vocabulary, whose trained rows lie apart while a step lasts, is shared."""
        network = self._environment.network
        words = network.encoder.word_embeddings
        return copy.deepcopy(network, {id(words): words}).eval()

    def _add_task(self, rows: MarketplaceRows) -> nn.Module | None:
        """A new task token and head, and, beside older ones, the divergence head of this step."""
        network = self._environment.network
        network.add_task(rows.marketplace)
        if not self.marketplaces:
            add_calibrated_head(self._environment, rows.marketplace, rows.train)
            return None
        network.heads.add(rows.marketplace, self.marketplaces[-1])
        size = network.heads.feature_size
        return nn.Sequential(nn.LayerNorm(size), nn.Linear(size, 3)).to(network.device)

    def logits(self, marketplace: str, pairs: TokenizedPairs) -> np.ndarray:
        """As in `Method`: read by the marketplace's task token, scored by its head."""
        name = self.learnt_or_newest(marketplace)
        return self._environment.logits(pairs, Route((name,)), self.marketplaces.index(name))

    @property
    def trainable_parameters(self) -> int:
        """The encoder, the task attention, a task token, a head and the divergence head."""
        network = self._environment.network
        attention = parameter_count(list(network.task_attention.parameters()))
        task = network.hidden_size + self._divergence_parameters
        return whole_model_parameters(network) + attention + task

    @property
    def total_parameters(self) -> int:
        """The encoder, the task attention, all task tokens and heads."""
        return parameter_count(list(self._environment.network.parameters()))


def task_logits(network: TaskTokenNetwork, names: Sequence[str], features: Tensor) -> Tensor:
    """(pairs, T, features), one head for each of T marketplaces, to logits (pairs, T)."""
    weights = torch.stack([network.heads.weights[name] for name in names])
    biases = torch.cat([network.heads.biases[name] for name in names])
    return (features * weights).sum(-1) + biases


def logit_distillation(teacher: Tensor, student: Tensor) -> Tensor:
    """Mean KL divergence of the student's two-class probabilities from the teacher's; both (pairs, T) logits."""
    target = torch.sigmoid(teacher)
    cross_entropy = functional.binary_cross_entropy_with_logits
    return cross_entropy(student, target) - cross_entropy(teacher, target)


def divergence_loss(divergence: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over three classes: read by an older task token, or by the newest and its label.

    The reference's extra class takes the rehearsed samples of older tasks. Here there are none: the new rows as
    older task tokens read them stand for it, without gradient, so that the newest token comes to read otherwise.

    Args:
        features: (pairs, T, features), the newest task token's last.
        labels: (pairs) 0 or 1.
    """
    predicted = divergence(torch.cat([features[:, :-1].detach(), features[:, -1:]], dim=1))
    newest = functional.cross_entropy(predicted[:, -1], labels.long() + 1)
    others = predicted[:, :-1].flatten(0, 1)
    targets = torch.full((len(others),), _OLDER, device=others.device)
    return (newest + functional.cross_entropy(others, targets)) / 2
