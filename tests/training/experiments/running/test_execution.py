from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch

from model_store.errors import ReplayError
from model_store.network.interaction import Route
from model_store.versions.loading import load_version
from tests.support.training.learners import toy_configuration, toy_environment, toy_pairs
from tests.support.training.made_up_results import small_plan
from training.experiments.plan import planned_run
from training.experiments.plan.planned_run import planned_runs
from training.experiments.running.execution import MODEL_STORE, execute, prepare
from training.experiments.running.fusion_attention import mean_attention
from training.experiments.running.output_folder import OutputFolder
from training.methods.sequential_finetuning import SequentialFinetuning
from training.stages.labelled_tokens import LabelledTokens, MarketplaceRows

ONE_RUN = {"sequences": [["us", "es"]], "seeds": [0]}


class Replaying(SequentialFinetuning):
    """Keeps the rows of older marketplaces, which no method may."""

    name = "replaying"
    kept: ClassVar[list[LabelledTokens]] = []

    def learn(self, rows: MarketplaceRows) -> None:
        self.kept.append(rows.train)
        super().learn(rows)


def test_a_method_that_keeps_rows_is_refused_after_its_first_step(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planned_run, "METHODS", {"replaying": Replaying})
    [run] = planned_runs(small_plan(tiny_encoder_folder, **ONE_RUN, methods=["replaying"]))
    prepare(run, tmp_path)
    with pytest.raises(ReplayError, match=r"replaying still holds rows of us \(train\)"):
        execute(run, tmp_path, 1)
    assert OutputFolder(tmp_path).result_of(run) is None


def test_a_run_publishes_a_version_that_the_store_loads(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    plan = small_plan(tiny_encoder_folder, **ONE_RUN, methods=["attention_distillation"])
    [run] = planned_runs(plan.model_copy(update={"publish": ("attention_distillation",)}))
    prepare(run, tmp_path)

    execute(run, tmp_path, 1)

    result = OutputFolder(tmp_path).result_of(run)
    assert result is not None
    assert result.version == 1
    loaded = load_version(OutputFolder(tmp_path).run_folder(run) / MODEL_STORE)
    assert loaded.manifest.names == ["us", "es"]
    assert [dict(row) for row in loaded.manifest.test_matrix] == list(result.test_matrix)


def test_a_joint_method_has_one_step_with_all_rows(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    [run] = planned_runs(small_plan(tiny_encoder_folder, **ONE_RUN, methods=["adapter_fusion_joint"]))
    prepare(run, tmp_path)

    execute(run, tmp_path, 1)

    result = OutputFolder(tmp_path).result_of(run)
    assert result is not None
    [step] = result.steps
    assert step.train_rows == sum(
        len(OutputFolder(tmp_path).data_of(run).rows(name, "train")) for name in ("us", "es")
    )
    assert not result.is_continual
    assert set(result.final) == {"us", "es"}


def test_runs_of_one_seed_share_their_rows(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    cross = {"pair_encoding": {"interaction": "cross"}}
    methods = ["adapter", {"method": "adapter", "label": "cross", "settings": cross}]
    plan = small_plan(tiny_encoder_folder, **{**ONE_RUN, "seeds": [0, 1]}, methods=methods)
    one, other, later, _ = (OutputFolder(tmp_path).data_of(run) for run in planned_runs(plan))

    one.prepare()

    assert other.is_complete
    assert other.rows("us", "test") == one.rows("us", "test")
    assert other.zero_shot() == one.zero_shot()
    assert not later.is_complete


def test_data_that_was_prepared_without_the_cosine_is_measured_again(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    [run] = planned_runs(small_plan(tiny_encoder_folder, **ONE_RUN, methods=["adapter"]))
    data = OutputFolder(tmp_path).data_of(run)
    data.prepare()
    before = data.untrained_cosine()
    (cosine,) = data.folder.glob("zero-shot.*.safetensors")
    cosine.unlink()
    assert not data.is_complete

    data.prepare()

    assert data.is_complete
    assert {name: list(values) for name, values in data.untrained_cosine().items()} == {
        name: list(values) for name, values in before.items()
    }


@pytest.mark.parametrize("interaction", ["two_tower", "late(1)", "cross"])
def test_a_fusion_that_looks_at_one_adapter_is_seen_to_in_the_layer_that_it_is_in(
    tiny_encoder_folder: Path, interaction: str
) -> None:
    configuration = toy_configuration(pair_encoding={"interaction": interaction})
    environment = toy_environment(tiny_encoder_folder, configuration)
    network = environment.network
    for name in ("us", "es", "de"):
        network.add_adapter(name)
    network.add_fusion("step")
    with torch.no_grad():  # zero scores share the attention evenly; in the top layer `es` has a large one
        for fusion in network.fusion_modules("step"):
            fusion.query.weight.zero_()
            fusion.query.bias.zero_()
        top = network.fusion_modules("step")[1]
        network.adapter_modules("es")[1].adapter_up.bias.fill_(1.0)
        top.key.weight.copy_(torch.eye(network.hidden_size))
        top.query.bias.fill_(1.0)
    data = LabelledTokens.of(toy_pairs("us", 20), environment.tokenizer)

    attention = mean_attention(network, environment.tokenizer, Route(("us", "es", "de"), "step"), data, 256)

    assert attention[0] == pytest.approx([1 / 3] * 3, abs=1e-5)
    assert attention[1][1] > 0.99
    assert sum(attention[1]) == pytest.approx(1.0, abs=1e-5)
