"""Adapter stage (eq. 6): a new adapter and the head learn a marketplace; all else is frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from model_store.metrics import roc_auc
from model_store.network.interaction import AttentionMaps, PairNetwork, Route
from training.stages.anchors import Anchors
from training.stages.environment import TrainingEnvironment
from training.stages.labelled_tokens import Batch, LabelledTokens, epoch_batches

_NEW = "new"


class AdapterStage:
    """Cross-entropy on the new marketplace's rows with its adapter alone active."""

    def __init__(
        self,
        environment: TrainingEnvironment,
        marketplace: str,
        head: str,
        train: LabelledTokens,
        validation: LabelledTokens,
        seed: int,
        anchors: Anchors | None = None,
    ) -> None:
        self.name = f"{marketplace} adapter"
        self.configuration = environment.configuration.adapter_stage
        self._environment = environment
        self._route = Route((marketplace,))
        self._head_name = head
        self._head = environment.network.heads.names.index(head)
        self._train, self._validation = train, validation
        self._seed, self._anchors = seed, anchors

    def parameters(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """The new adapter and the head; everything else is frozen."""
        network = self._environment.network
        adapter = [
            parameter
            for module in network.trained_adapter_modules(self._route.adapters[0])
            for parameter in module.parameters()
        ]
        head = list(network.heads.parameters_of(self._head_name))
        network.train_only([*adapter, *head])
        rate = self.configuration.learning_rate
        return {"adapter": (adapter, rate), "head": (head, self.configuration.head_learning_rate or rate)}

    def batches(self, epoch: int) -> Sequence[Batch]:
        """Shuffled batches of the marketplace's training rows."""
        return epoch_batches({_NEW: len(self._train)}, self.configuration.batch_size, self._seed, epoch)

    def losses(self, batch: Batch, rank: int, processes: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        """Cross-entropy of each micro-batch, scaled so that their sum is the batch's mean."""
        yield from task_losses(
            self._environment,
            self._train,
            batch.rows[rank::processes],
            len(batch.rows),
            self._route,
            self._head,
        )
        if self._anchors and rank == 0:  # gradients are summed over the processes
            yield from self._anchors.losses(self._environment, batch, self._route, self._head, self._seed)

    def validate(self) -> float:
        """ROC-AUC on the marketplace's validation rows."""
        return validation_auc(self._environment, self._validation, self._route, self._head)

    def adjust_best_weights(self) -> None:
        """Take the adapter a part of the way back to the untrained encoder, and fit the head to it.

        What an adapter adds is linear in its up-projection: scaled, the weights lie between those of the
        untrained encoder, 0, and those that were learnt, 1. In the middle nearly all that was learnt is there,
        and much more of what the encoder knows of other texts than at 1 (Wortsman et al. 2022, "Robust
        fine-tuning of zero-shot models").
        """
        share = self._environment.configuration.adapter_interpolation
        if share == 1.0:
            return
        for module in self._environment.network.trained_adapter_modules(self._route.adapters[0]):
            module.scale(share)
        rescale_head(self._environment, self._head_name, self._route, self._train)


def task_losses(
    environment: TrainingEnvironment[PairNetwork],
    data: LabelledTokens,
    rows: np.ndarray,
    batch_size: int,
    route: Route,
    head: int,
    attention_loss: Callable[[AttentionMaps], Tensor] | None = None,
) -> Iterator[tuple[Tensor, dict[str, float]]]:
    """Binary cross-entropy of the rows by micro-batch, each divided by the batch's number of pairs.

    Args:
        attention_loss: what is added for the fusion's attention over the same rows: a mean over them.
    """
    budget = environment.configuration.token_budget
    for tokens, labels in data.micro_batches(rows, environment.tokenizer, head, budget, environment.device):
        maps = AttentionMaps() if attention_loss else None
        with environment.accelerator.autocast():
            logits = environment.network(tokens, route, maps)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels, reduction="sum")
        loss = loss / batch_size
        measured = {"cross-entropy": float(loss.detach())}
        if attention_loss and maps:
            loss = loss + attention_loss(maps) * (len(labels) / batch_size)
        yield loss, measured


def validation_auc(
    environment: TrainingEnvironment[PairNetwork], data: LabelledTokens, route: Route, head: int
) -> float:
    """ROC-AUC of the network as it is, in the training's own precision."""
    return roc_auc(data.labels, labelled_logits(environment, data, route, head))


def labelled_logits(
    environment: TrainingEnvironment[PairNetwork], data: LabelledTokens, route: Route, head: int
) -> np.ndarray:
    """(N) float32 logits in the training's own precision, from the rows' states where they have any."""
    with environment.accelerator.autocast():
        return data.logits(
            environment.network, environment.tokenizer, route, head, environment.configuration.token_budget
        )


def calibrate_cosine(
    environment: TrainingEnvironment[PairNetwork], head: str, train: LabelledTokens, sample: int = 512
) -> None:
    """Make a new similarity head the logistic regression of the label on the untrained encoder's cosine.

    Training then starts with scores that mean something, on the ranking the untrained encoder gives.
    """
    network = environment.network
    number = network.heads.names.index(head)
    network.heads.set_cosine(head, 1.0, 0.0)
    cosine = labelled_logits(environment, train, Route(), number)
    scale, bias = _logistic_regression(cosine[:sample].astype(np.float64), train.labels[:sample])
    network.heads.set_cosine(head, max(scale, 1.0), bias if scale >= 1.0 else -float(cosine.mean()))


def rescale_head(
    environment: TrainingEnvironment[PairNetwork], head: str, route: Route, train: LabelledTokens
) -> None:
    """Make a head's logits slope * logit + intercept, the logistic regression of the rows' labels on them.

    Scores are probabilities again, and no two products change places.
    """
    logits = labelled_logits(environment, train, route, environment.network.heads.names.index(head))
    slope, intercept = _logistic_regression(logits.astype(np.float64), train.labels)
    if slope > 0:  # a falling line would turn the order round: then the labels say nothing of the logits
        environment.network.heads.rescale(head, slope, intercept)


def _logistic_regression(values: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Slope and intercept by Newton's method with a little ridge, so that separable data stay finite."""
    inputs = torch.stack([torch.from_numpy(values), torch.ones(len(values), dtype=torch.float64)], dim=1)
    targets = torch.from_numpy(labels.astype(np.float64))
    weights = torch.zeros(2, dtype=torch.float64)
    ridge = 1e-3 * torch.eye(2, dtype=torch.float64)
    for _ in range(30):
        predicted = torch.sigmoid(inputs @ weights)
        gradient = inputs.T @ (predicted - targets) + ridge @ weights
        curvature = (inputs * (predicted * (1 - predicted)).unsqueeze(1)).T @ inputs + ridge
        weights = weights - torch.linalg.solve(curvature, gradient)
    return float(weights[0]), float(weights[1])
