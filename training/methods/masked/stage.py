"""Training under hard attention: annealed masks, few new units, and no change of what older marketplaces use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model_store.network.interaction import Route
from training.configuration import CapsuleConfiguration, MaskedConfiguration
from training.methods.masked.hard_attention import (
    LARGEST_EMBEDDING,
    annealed_scale,
    compensate_gradient,
    open_share,
)
from training.methods.masked.network import TaskNetwork
from training.stages.adapter import task_losses, validation_auc
from training.stages.environment import TrainingEnvironment
from training.stages.labelled_tokens import Batch, MarketplaceRows, epoch_batches

_ROWS = "rows"


@dataclass(frozen=True, slots=True)
class PlacedBatch(Batch):
    """A batch that knows its place, from which the scale of the masks follows, also after an interruption.

    Args:
        share: of the epoch's steps that come before it, in [0, 1).
    """

    share: float


class MaskedStage:
    """Cross-entropy and sparsity on a marketplace's rows; weights that older marketplaces use do not move.

    Trained are all shared weights as far as they are free, the marketplace's masks and its head.

    Args:
        older: marketplaces learnt before, whose units are kept.
    """

    def __init__(
        self,
        environment: TrainingEnvironment[TaskNetwork],
        settings: MaskedConfiguration,
        rows: MarketplaceRows,
        older: Sequence[str],
        seed: int,
    ) -> None:
        self.name = f"{rows.marketplace} masked adapters"
        self.configuration = settings.stage
        self._environment, self._settings, self._rows, self._seed = environment, settings, rows, seed
        self._routing_rate = (
            settings.routing_learning_rate if isinstance(settings, CapsuleConfiguration) else None
        )
        network, task = environment.network, rows.marketplace
        self._route, self._head = Route((task,)), network.heads.names.index(task)
        adapters = list(network.adapters())
        self._attentions = [attention for adapter in adapters for attention in adapter.attentions()]
        self._embeddings = [attention.embeddings[task] for attention in self._attentions]
        self._used = [attention.used_by(older) for attention in self._attentions]
        kept = [pair for adapter in adapters for pair in adapter.protections(older)]
        self._free = [(parameter, 1 - used) for parameter, used in kept] if older else []

    def parameters(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """Shared weights, the marketplace's masks and its head; other masks and heads are frozen."""
        network = self._environment.network
        masks = {id(e) for attention in self._attentions for e in attention.embeddings.values()}
        routing = [p for adapter in network.adapters() for p in adapter.routing_parameters()]
        apart = masks | {id(p) for p in routing}
        shared = [p for adapter in network.adapters() for p in adapter.parameters() if id(p) not in apart]
        head = list(network.heads.parameters_of(self._rows.marketplace))
        network.train_only([*shared, *routing, *self._embeddings, *head])
        rate = self.configuration.learning_rate
        return {
            "shared": (shared, rate),
            **({"routing": (routing, self._routing_rate or rate)} if routing else {}),
            "masks": (self._embeddings, self._settings.mask_learning_rate or rate),
            "head": (head, self.configuration.head_learning_rate or rate),
        }

    def batches(self, epoch: int) -> Sequence[Batch]:
        """Shuffled batches of the marketplace's training rows."""
        batches = epoch_batches({_ROWS: len(self._rows.train)}, self.configuration.batch_size, self._seed, epoch)
        return [
            PlacedBatch(batch.data_set, batch.rows, place / len(batches)) for place, batch in enumerate(batches)
        ]

    def losses(self, batch: Batch, rank: int, processes: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        """Cross-entropy of each micro-batch, and the sparsity once."""
        rows, environment = batch.rows[rank::processes], self._environment
        with environment.network.masks_at(self._scale(batch)):
            yield from task_losses(environment, self._rows.train, rows, len(batch.rows), self._route, self._head)
        if rank == 0 and self._settings.sparsity > 0:
            share = self._open_share(self._scale(batch))
            yield self._settings.sparsity * share, {"open units": float(share.detach())}

    def before_update(self, batch: Batch) -> None:
        """Cut the gradients of what is used, and compensate those of the masks for the annealing."""
        for parameter, free in self._free:
            if parameter.grad is not None:
                parameter.grad.mul_(free)
        for embedding in self._embeddings:
            compensate_gradient(embedding, self._scale(batch), self._settings.max_scale)

    def after_update(self) -> None:
        """Keep the masks' embeddings where they can still change."""
        with torch.no_grad():
            for embedding in self._embeddings:
                embedding.clamp_(-LARGEST_EMBEDDING, LARGEST_EMBEDDING)

    def validate(self) -> float:
        """ROC-AUC on the marketplace's validation rows, with binary masks."""
        return validation_auc(self._environment, self._rows.validation, self._route, self._head)

    def _scale(self, batch: Batch) -> float:
        assert isinstance(batch, PlacedBatch)
        return annealed_scale(batch.share, self._settings.max_scale)

    def _open_share(self, scale: float) -> Tensor:
        masks = [attention(self._rows.marketplace, scale) for attention in self._attentions]
        return open_share(zip(masks, self._used, strict=True))
