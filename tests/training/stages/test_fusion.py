from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model_store.network.interaction import Route
from tests.support.training.learners import toy_configuration, toy_environment, toy_pairs
from training.stages.fusion import FusionStage
from training.stages.labelled_tokens import LabelledTokens


@pytest.mark.parametrize("data_set", ["new", "us"])
def test_several_processes_have_the_loss_of_one(tiny_encoder_folder: Path, data_set: str) -> None:
    environment = toy_environment(tiny_encoder_folder, toy_configuration(value_regularisation=0.5))
    network = environment.network
    for name in ("us", "es"):
        network.add_adapter(name)
    network.add_fusion("step-0002")
    network.heads.add("shared")
    with torch.no_grad():
        network.fusion_modules("step-0002")[0].value.weight.add_(0.1)
    rows = {name: LabelledTokens.of(toy_pairs(name, 16), environment.tokenizer) for name in ("us", "es")}
    stage = FusionStage(
        environment,
        "es",
        "shared",
        Route(("us", "es"), "step-0002"),
        Route(("us",)),
        rows["es"],
        rows["es"],
        {"us": rows["us"]},
        {"us": 0},
        seed=0,
    )
    network.eval()
    batch = next(batch for batch in stage.batches(0) if batch.data_set == data_set)

    def loss(processes: int) -> float:
        parts = [part for rank in range(processes) for part, _ in stage.losses(batch, rank, processes)]
        return float(torch.stack(parts).sum().detach())

    assert loss(2) == pytest.approx(loss(1), rel=1e-4)
