"""The training loop on a stage of one weight, whose validation ROC-AUC is scripted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from training.configuration import StageConfiguration
from training.stages.environment import make_accelerator
from training.stages.labelled_tokens import Batch
from training.stages.loop import StageResult, run_stage

STEPS_PER_EPOCH = 4


class CountingStage:
    """Every step adds about the learning rate to the weight, so that the weight tells the step."""

    name = "counting"

    def __init__(self, aucs: Sequence[float], **settings: object) -> None:
        self.configuration = StageConfiguration.model_validate(
            {"learning_rate": 1.0, "schedule": "constant", "warmup_share": 0.0, **settings}
        )
        self.network = nn.Linear(1, 1, bias=False)
        self.network.weight.data.zero_()
        self._aucs = iter(aucs)

    def parameters(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        return {"weight": (list(self.network.parameters()), self.configuration.learning_rate)}

    def batches(self, epoch: int) -> Sequence[Batch]:
        return [Batch("new", np.zeros(1, dtype=np.int64))] * STEPS_PER_EPOCH

    def losses(self, batch: Batch, rank: int, processes: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        yield -self.network.weight.sum(), {}

    def validate(self) -> float:
        return next(self._aucs)

    @property
    def epochs_kept(self) -> float:
        return float(self.network.weight.detach()) / STEPS_PER_EPOCH


def run(stage: CountingStage, folder: Path) -> StageResult:
    torch.manual_seed(0)
    return run_stage(stage, stage.network, Accelerator(cpu=True), folder, 1e9)


def test_the_best_epochs_weights_are_kept(tmp_path: Path) -> None:
    stage = CountingStage([0.5, 0.7, 0.9, 0.8], epochs=3)
    result = run(stage, tmp_path)
    assert (result.best_epoch, result.best_auc, result.epochs) == (2, 0.9, 3)
    assert stage.epochs_kept == pytest.approx(2, abs=0.01)


def test_a_later_epoch_within_the_tolerance_is_kept(tmp_path: Path) -> None:
    stage = CountingStage([0.5, 0.9, 0.895, 0.88], epochs=3, tolerance=0.01)
    assert run(stage, tmp_path).best_epoch == 2


def test_it_ends_when_patience_is_over(tmp_path: Path) -> None:
    stage = CountingStage([0.5, 0.9, 0.8, 0.8, 0.8], epochs=9, patience=2)
    assert run(stage, tmp_path).epochs == 3


def test_a_small_set_gets_more_epochs_and_keeps_nothing_too_early(tmp_path: Path) -> None:
    stage = CountingStage([0.99, 0.98, 0.97, 0.6, 0.61], epochs=1, min_steps=3 * STEPS_PER_EPOCH, patience=1)
    result = run(stage, tmp_path)
    assert (result.epochs, result.best_epoch, result.best_auc) == (3, 3, 0.6)
    assert stage.epochs_kept == pytest.approx(3, abs=0.01)


def test_enough_steps_are_not_made_more(tmp_path: Path) -> None:
    stage = CountingStage([0.5, 0.6, 0.7], epochs=2, min_steps=STEPS_PER_EPOCH)
    assert run(stage, tmp_path).epochs == 2


class GuardedStage(CountingStage):
    """Its gradients point the other way, and its weight may not go below -2.5."""

    def before_update(self, batch: Batch) -> None:
        assert isinstance(self.network.weight.grad, Tensor)
        assert float(self.network.weight.grad.norm()) <= self.configuration.gradient_clipping + 1e-6
        self.network.weight.grad.neg_()

    def after_update(self) -> None:
        with torch.no_grad():
            self.network.weight.clamp_(min=-2.5)


def test_a_stage_can_guard_its_updates(tmp_path: Path) -> None:
    stage = GuardedStage([0.5, 0.7], epochs=1)
    run(stage, tmp_path)
    assert float(stage.network.weight.detach()) == -2.5


def test_one_process_trains_in_one_precision_after_another() -> None:
    rounding, exact = make_accelerator("bf16"), make_accelerator("float32")
    assert (rounding.mixed_precision, exact.mixed_precision) == ("bf16", "no")
    assert make_accelerator("bf16").mixed_precision == "bf16"
    with exact.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with rounding.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
