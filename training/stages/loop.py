"""The one training loop: optimiser steps over batches, early stopping, checkpoints, progress, logs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from model_store.errors import ConfigurationError
from training.configuration import StageConfiguration
from training.stages.checkpoint import LoopState, load_checkpoint, save_checkpoint
from training.stages.labelled_tokens import Batch
from training.stages.progress import stage_progress


class Stage(Protocol):
    """What a training stage hands to the loop."""

    name: str
    configuration: StageConfiguration

    def parameters(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """Trainable parameters by group, with each group's learning rate."""

    def batches(self, epoch: int) -> Sequence[Batch]:
        """The epoch's optimiser steps, the same for the same epoch."""

    def losses(self, batch: Batch, rank: int, processes: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        """Losses of this process's micro-batches, whose sum over all processes is the batch's loss."""

    def validate(self) -> float:
        """Validation ROC-AUC of the current weights."""


@runtime_checkable
class UpdateGuard(Protocol):
    """What a stage may have beside `Stage`: a hand in every optimiser step."""

    def before_update(self, batch: Batch) -> None:
        """Change the batch's gradients, which are summed over the processes and clipped."""

    def after_update(self) -> None:
        """Bring weights back to where they may be."""


@runtime_checkable
class FinalAdjustment(Protocol):
    """What a stage may have beside `Stage`: a change to its best weights, once, when training is over."""

    def adjust_best_weights(self) -> None:
        """Change the weights in the network, alike on every process."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """How a stage ended. The kept weights, those of `best_epoch`, are in the network.

    `best_auc` is that epoch's, before a stage's final adjustment.
    """

    best_auc: float
    best_epoch: int
    epochs: int
    steps: int
    seconds: float
    history: list[dict[str, float]]


def run_stage(
    stage: Stage, network: nn.Module, accelerator: Accelerator, folder: Path, checkpoint_seconds: float
) -> StageResult:
    """Train a stage to its best validation ROC-AUC, going on from its checkpoint where there is one.

    Args:
        folder: where checkpoints and TensorBoard logs of this stage are kept.

    Returns:
        The result; the network holds the best weights seen.
    """
    return _Loop(stage, network, accelerator, folder, checkpoint_seconds).run()


class _Loop:
    def __init__(
        self,
        stage: Stage,
        network: nn.Module,
        accelerator: Accelerator,
        folder: Path,
        checkpoint_seconds: float,
    ) -> None:
        self.stage, self.network, self.accelerator = stage, network, accelerator
        self.guard = stage if isinstance(stage, UpdateGuard) else None
        self.settings = stage.configuration
        self.checkpoint = folder / "checkpoint.safetensors"
        self.checkpoint_seconds = checkpoint_seconds
        self.groups = stage.parameters()
        self.parameters = [parameter for group, _ in self.groups.values() for parameter in group]
        self.optimizer = torch.optim.Adam(
            [{"params": group, "lr": rate} for group, rate in self.groups.values()],
            eps=self.settings.adam_epsilon,
            weight_decay=self.settings.weight_decay,
        )
        self.rates = [rate for _, rate in self.groups.values()]
        self.steps_per_epoch = len(stage.batches(0))
        self.epochs = max(self.settings.epochs, math.ceil(self.settings.min_steps / self.steps_per_epoch))
        self.state = LoopState()
        self.saved_at = time.monotonic()
        self.started = time.monotonic()
        self.writer = SummaryWriter(str(folder / "tensorboard")) if accelerator.is_main_process else None

    def run(self) -> StageResult:
        self.network.train(self.settings.dropout)
        if self.checkpoint.is_file():
            self.state = load_checkpoint(self.checkpoint, self.parameters, self.optimizer)
        # No process may find a checkpoint that another one has just written.
        self.accelerator.wait_for_everyone()
        if not self.state.history:
            self._note_validation()
        total = self.epochs * self.steps_per_epoch
        with stage_progress(self.stage.name, total, self.state.steps_done(self.steps_per_epoch)) as progress:
            while self.state.epoch < self.epochs and not self._out_of_patience():
                self._epoch(progress)
        self._restore_best()
        if isinstance(self.stage, FinalAdjustment):
            self.stage.adjust_best_weights()
        if self.writer:
            self.writer.close()
        return StageResult(
            best_auc=self.state.kept_auc,
            best_epoch=self.state.best_epoch,
            epochs=self.state.epoch,
            steps=self.state.steps_done(self.steps_per_epoch),
            seconds=self.state.seconds + time.monotonic() - self.started,
            history=self.state.history,
        )

    def _epoch(self, progress: stage_progress) -> None:
        batches = self.stage.batches(self.state.epoch)
        while self.state.step < len(batches):
            measured = self._step(batches[self.state.step])
            self.state.step += 1
            progress.advance(measured)
            if time.monotonic() - self.saved_at >= self.checkpoint_seconds:
                self._save()
        self.state.epoch += 1
        self.state.step = 0
        auc = self._note_validation()
        progress.validated(auc, None if self._is_too_early() else self.state.best_auc)
        self._save()

    def _step(self, batch: Batch) -> dict[str, float]:
        step = self.state.steps_done(self.steps_per_epoch)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * self._rate_factor(step)
        self.optimizer.zero_grad(set_to_none=True)
        measured: dict[str, float] = {}
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        for loss, parts in self.stage.losses(batch, rank, processes):
            value = float(loss.detach())
            self._check_finite("the loss", value, step)
            self.accelerator.backward(loss)
            for name, part in parts.items():
                measured[name] = measured.get(name, 0.0) + part
        self._sum_gradients()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.gradient_clipping)
        self._check_finite("the gradient's norm", float(norm), step)
        if self.guard:
            self.guard.before_update(batch)
        self.optimizer.step()
        if self.guard:
            self.guard.after_update()
        if self.writer:
            for name, value in {**measured, "gradient_norm": float(norm)}.items():
                self.writer.add_scalar(f"{self.stage.name}/{name}", value, step)
        return measured

    def _check_finite(self, what: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            raise ConfigurationError(
                f"{self.stage.name}: {what} is {value} at step {step}: give the stage a lower learning_rate, "
                "and begin the run anew under another --run name"
            )

    def _sum_gradients(self) -> None:
        if self.accelerator.num_processes == 1:
            return
        for parameter in self.parameters:
            gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            parameter.grad = self.accelerator.reduce(gradient, reduction="sum")

    def _rate_factor(self, step: int) -> float:
        total = self.epochs * self.steps_per_epoch
        warmup = round(self.settings.warmup_share * total)
        if step < warmup:
            return (step + 1) / warmup
        return 1.0 if self.settings.schedule == "constant" else max(0.0, (total - step) / max(1, total - warmup))

    def _note_validation(self) -> float:
        auc = self.stage.validate()
        self.state.history.append({"epoch": float(self.state.epoch), "validation_auc": auc})
        if self.writer:
            self.writer.add_scalar(f"{self.stage.name}/validation_auc", auc, self.state.epoch)
        tolerance = self.settings.tolerance
        if self._is_too_early():
            self._keep(auc)
            return auc
        better = auc >= self.state.best_auc - tolerance if tolerance else auc > self.state.best_auc
        if better or self.state.best is None:
            self.state.best_auc = max(auc, self.state.best_auc)
            self._keep(auc)
        return auc

    def _is_too_early(self) -> bool:
        return self.state.steps_done(self.steps_per_epoch) < self.settings.min_steps

    def _keep(self, auc: float) -> None:
        self.state.kept_auc, self.state.best_epoch = auc, self.state.epoch
        self.state.best = [parameter.detach().clone() for parameter in self.parameters]

    def _out_of_patience(self) -> bool:
        return self.state.epoch - self.state.best_epoch >= self.settings.patience

    def _restore_best(self) -> None:
        assert self.state.best is not None
        with torch.no_grad():
            for parameter, best in zip(self.parameters, self.state.best, strict=True):
                parameter.copy_(best)

    def _save(self) -> None:
        self.state.seconds += time.monotonic() - self.started
        self.started = self.saved_at = time.monotonic()
        if self.accelerator.is_main_process:
            save_checkpoint(self.checkpoint, self.state, self.parameters, self.optimizer)
