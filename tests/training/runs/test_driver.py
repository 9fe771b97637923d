"""One outer loop: what a command, an experiment and two calls one after another find is the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from model_store.errors import ConfigurationError
from model_store.versions.loading import load_version
from model_store.versions.store import ModelStore
from tests.support.training.made_up_results import small_content, small_plan
from training.commands.add import add_marketplace
from training.commands.continual import finetune_sequentially, learn_sequence
from training.configuration import Overrides, TrainingConfiguration
from training.experiments.plan.planned_run import planned_runs
from training.experiments.running.execution import execute, prepare
from training.experiments.running.output_folder import OutputFolder
from training.experiments.running.run_result import RunResult
from training.methods.base import MethodContext
from training.methods.registry import METHODS
from training.runs.steps import StepFiles

DATA = "catalogue:120"
SEQUENCE = ["us", "es", "jp"]
PAPER = "attention_distillation_translation"


def settings_of(encoder: Path, **changes: object) -> dict[str, Any]:
    content = small_content(encoder)["settings"]
    assert isinstance(content, dict)
    one_epoch = {name: {**content[name], "epochs": 1} for name in content if name.endswith("_stage")}
    return {**content, **one_epoch, "translation": "catalogue", **changes}


def continual(encoder: Path, store: Path, sequence: list[str]) -> list[str]:
    lines: list[str] = []
    overrides: Overrides = settings_of(encoder)
    learn_sequence(DATA, sequence, "quickstart", overrides, store, "run", lines.append)
    return lines


@pytest.fixture(scope="module")
def store(tiny_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a continual run over the whole sequence."""
    root = tmp_path_factory.mktemp("whole") / "store"
    continual(tiny_encoder_folder, root, SEQUENCE)
    return root


def experiment(method: str, encoder: Path, output: Path) -> RunResult:
    plan = small_plan(
        encoder,
        preset="quickstart",
        data=DATA,
        settings=settings_of(encoder),
        sequences=[SEQUENCE],
        seeds=[0],
        methods=[method],
    )
    [run] = planned_runs(plan)
    prepare(run, output)
    execute(run, output, 1)
    result = OutputFolder(output).result_of(run)
    assert result is not None
    return result


def weights_of(store: Path, number: int) -> dict[str, str]:
    files = ModelStore(store).manifest(number).files
    return {name: digest.sha256 for name, digest in files.items() if name.endswith(".safetensors")}


def rounded(matrix: Sequence[Mapping[str, float]]) -> list[dict[str, object]]:
    # Texts stand in other batches, where the run keeps what the frozen layers make of them.
    return [{name: pytest.approx(auc, abs=1e-3) for name, auc in row.items()} for row in matrix]


def test_continual_and_the_experiment_of_its_method_find_the_same(
    store: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    manifest = ModelStore(store).manifest(3)
    result = experiment(PAPER, tiny_encoder_folder, tmp_path)
    assert manifest.method == PAPER
    assert list(result.test_matrix) == rounded(manifest.test_matrix)
    assert result.zero_shot == rounded([manifest.zero_shot_test])[0]
    assert [step.marketplace for step in result.steps] == SEQUENCE
    last = manifest.marketplace("jp")
    assert result.steps[-1].trainable_parameters == sum(last.trainable_parameters.values())


def test_continual_and_then_add_publish_what_one_continual_run_does(
    store: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    continual(tiny_encoder_folder, tmp_path, SEQUENCE[:2])
    add_marketplace(DATA, "jp", {}, tmp_path, "later")
    whole, added = ModelStore(store).manifest(3), ModelStore(tmp_path).manifest(3)
    assert added.parent == 2
    assert added.names == whole.names
    for number in (1, 2, 3):
        assert weights_of(tmp_path, number) == weights_of(store, number)
    assert [{**row, "jp": 0} for row in added.test_matrix] == [{**row, "jp": 0} for row in whole.test_matrix]
    assert added.test_matrix[-1] == whole.test_matrix[-1]
    assert added.zero_shot_test == whole.zero_shot_test


def test_sequential_and_the_experiment_of_its_method_find_the_same(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "sequential.json"
    lines: list[str] = []
    overrides = settings_of(tiny_encoder_folder, translation="none")
    finetune_sequentially(DATA, SEQUENCE, "quickstart", overrides, output, lines.append)
    found: Mapping[str, Any] = json.loads(output.read_text())
    result = experiment("sequential_finetuning", tiny_encoder_folder, tmp_path / "output")
    assert found["test_matrix"] == list(result.test_matrix)
    assert found["trainable_parameters"] == result.steps[-1].trainable_parameters
    assert found["method"] == "sequential_finetuning"
    assert [line.split(" in ")[0] for line in lines] == ["learnt us", "learnt es", "learnt jp"]


def test_a_finished_run_is_read_back_and_publishes_nothing_again(store: Path, tiny_encoder_folder: Path) -> None:
    before = {number: ModelStore(store).manifest(number) for number in ModelStore(store).numbers()}
    lines = continual(tiny_encoder_folder, store, SEQUENCE)
    assert {number: ModelStore(store).manifest(number) for number in ModelStore(store).numbers()} == before
    assert [line.split(":")[0] for line in lines if line.startswith("version")] == [
        "version 1",
        "version 2",
        "version 3",
    ]


@pytest.mark.parametrize("name", METHODS)
def test_only_a_method_that_can_is_put_on_top_of_a_version(name: str, store: Path, tmp_path: Path) -> None:
    parent = load_version(store)
    configuration = TrainingConfiguration.model_validate(parent.manifest.training_configuration)
    context = MethodContext.on_top_of(parent, configuration, tmp_path)
    if METHODS[name].builds_on_versions:
        assert METHODS[name](context).marketplaces == SEQUENCE
    else:
        with pytest.raises(ConfigurationError, match=f"{name} begins anew"):
            METHODS[name](context)


def test_a_step_in_its_older_form_is_found(tmp_path: Path) -> None:
    facts = {"marketplace": "us", "seconds": 2.0, "trainable_parameters": 7, "train_rows": 5}
    (tmp_path / "0001-us.json").write_text(json.dumps({"facts": facts, "test_auc": {"us": 0.5}}))
    step = StepFiles(tmp_path).kept(1, "us")
    assert step is not None
    assert (step.trainable_parameters, step.test_auc, step.train_rows) == ({"step": 7}, {"us": 0.5}, 5)
    assert StepFiles(tmp_path).kept(2, "es") is None
