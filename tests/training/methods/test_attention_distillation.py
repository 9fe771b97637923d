from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.network.interaction import AttentionMaps
from tests.support.training.learners import learn, toy_method, toy_rows
from training.stages.distillation import attention_distillation_loss
from training.stages.fusion import FusionStage

BOTH = ("attention_distillation", "attention_distillation_translation")
ADAPTER = 2 * (32 * 8 + 8 + 8 * 32 + 32)
FUSION = 2 * (3 * 32 * 32 + 2 * 32)
HEAD = 4 * 32 + 2


def maps(attention: torch.Tensor) -> AttentionMaps:
    return AttentionMaps([attention.log()], [torch.ones(attention.shape[:2], dtype=torch.bool)])


def test_the_loss_is_zero_where_the_student_keeps_to_its_teacher_and_leaves_the_new_adapter_alone() -> None:
    torch.manual_seed(0)
    teacher = torch.softmax(torch.randn(4, 5, 3), -1)
    same = torch.cat([teacher, torch.zeros(4, 5, 1)], -1)
    total, places = attention_distillation_loss(maps(teacher), maps(same), 3)
    assert float(total) == pytest.approx(0.0, abs=1e-6)
    assert places == 20
    share = torch.full((4, 5, 1), 0.25)
    on_the_new_one = torch.cat([teacher * (1 - share), share], -1)
    moved, _ = attention_distillation_loss(maps(teacher), maps(on_the_new_one), 3)
    assert float(moved) / places == pytest.approx(-np.log(0.75), abs=1e-5)


@pytest.mark.parametrize("name", BOTH)
def test_the_loss_falls_in_training(
    name: str, tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[float] = []
    original = FusionStage.losses

    def watched(stage: FusionStage, batch, rank: int, processes: int):  # type: ignore[no-untyped-def]
        for loss, parts in original(stage, batch, rank, processes):
            measured.extend(value for part, value in parts.items() if part == "distillation")
            yield loss, parts

    monkeypatch.setattr(FusionStage, "losses", watched)
    stage = {"epochs": 8, "batch_size": 16, "learning_rate": 1e-2, "patience": 8, "tolerance": 0.4}
    method = toy_method(name, tiny_encoder_folder, tmp_path, value_regularisation=1.0, fusion_stage=stage)
    learn(method, ("us", "es"))
    assert measured[0] == pytest.approx(np.log(2), abs=0.1), "a new fusion begins with an even split"
    assert measured[-1] < 0.5 * measured[0]


def sets_in_training(
    name: str, encoder: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, older: Sequence[str]
) -> dict[str, set[str]]:
    """Which losses the batches of which data set gave."""
    found: dict[str, set[str]] = {}
    original = FusionStage.losses

    def watched(stage: FusionStage, batch, rank: int, processes: int):  # type: ignore[no-untyped-def]
        for loss, parts in original(stage, batch, rank, processes):
            found.setdefault(batch.data_set, set()).update(parts)
            yield loss, parts

    monkeypatch.setattr(FusionStage, "losses", watched)
    method = toy_method(name, encoder, folder)
    method.learn(toy_rows(method.context.tokenizer, "us"))
    method.learn(toy_rows(method.context.tokenizer, "es", older))
    return found


def test_without_translation_both_losses_are_of_the_new_rows(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sets_in_training("attention_distillation", tiny_encoder_folder, tmp_path, monkeypatch, ("us",))
    assert found == {"new": {"cross-entropy", "distillation"}}


def test_with_translation_the_distillation_is_of_the_translated_rows(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "attention_distillation_translation"
    found = sets_in_training(name, tiny_encoder_folder, tmp_path, monkeypatch, ("us",))
    assert found == {"new": {"cross-entropy"}, "us": {"distillation"}}


@pytest.mark.parametrize("name", BOTH)
def test_a_step_trains_an_adapter_a_fusion_and_a_head(
    name: str, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    method = toy_method(name, tiny_encoder_folder, tmp_path)
    learn(method, ("us",))
    assert method.trainable_parameters == ADAPTER + HEAD
    learn(method, ("us", "es", "de"))
    encoder = sum(p.numel() for p in method.context.load_encoder().parameters())
    assert method.trainable_parameters == ADAPTER + FUSION + HEAD
    assert method.total_parameters == encoder + 3 * ADAPTER + FUSION + HEAD


def test_each_says_in_its_configuration_which_section_it_is(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    plain, translating = (
        toy_method(name, tiny_encoder_folder, tmp_path, translation="catalogue").context.configuration
        for name in BOTH
    )
    assert (plain.distillation.on_new_data, plain.translation) == (True, "none")
    assert plain.distillation.own_adapter == 0  # which would have it both ways
    assert (translating.distillation.on_new_data, translating.translation) == (False, "catalogue")
