from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import ConfigurationError
from tests.support.training.made_up_results import small_content, write_small_plan
from training.experiments.plan.plan import ExperimentPlan, load_plan, shipped_plans


def test_a_plan_is_read_from_its_file_and_written_back_the_same(tmp_path: Path) -> None:
    plan = load_plan(str(write_small_plan(tmp_path / "mine.yaml", tmp_path)))

    plan.write(tmp_path / "again.yaml")

    assert load_plan(str(tmp_path / "again.yaml")) == plan
    assert [method.label for method in plan.methods] == [
        "sequential_finetuning",
        "attention_distillation_translation",
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"epochs": 3}, "epochs"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "seed 1 is there twice"),
        ({"sequences": [["us", "../es"]]}, "sequences"),
        ({"sequences": [["us", "us"]]}, "each once"),
        ({"sequences": [[]]}, "sequences"),
        ({"sequences": [["us"], ["us"]]}, "sequence us is there twice"),
        ({"folds": 1}, "folds"),
        ({"run_folds": [0]}, "run_folds: the plan has no folds"),
        ({"folds": 3, "run_folds": [0, 3]}, "run_folds: no fold 3; there are 0 to 2"),
        ({"folds": 3, "run_folds": [1, 1]}, "run_folds: fold 1 is there twice"),
        ({"folds": 3, "run_folds": []}, "run_folds"),
        ({"name": "../out"}, "name"),
        ({"methods": ["adapter", "adapter"]}, "label adapter is there twice"),
        ({"methods": [{"method": "adapter", "lable": "x"}]}, "methods.0.lable"),
        ({"methods": [{"method": "adapter", "label": "a/b"}]}, "label 'a/b'"),
        ({"publish": ["hat"]}, "'hat' is no label"),
    ],
)
def test_what_is_wrong_is_refused_by_the_field_s_name(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    path = write_small_plan(tmp_path / "mine.yaml", tmp_path, **changes)
    with pytest.raises(ConfigurationError, match=r"mine\.yaml") as refused:
        load_plan(str(path))
    assert named in str(refused.value)


def test_an_unknown_plan_lists_those_that_ship() -> None:
    with pytest.raises(ConfigurationError, match="table1"):
        load_plan("table7")


def test_a_file_without_fields_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"empty\.yaml: holds no fields"):
        load_plan(str(path))


def test_every_shipped_plan_has_a_full_size() -> None:
    names = shipped_plans()
    small = [name for name in names if not name.endswith("-full")]
    assert {"table1", "table2", "figure4", "taxonomy6", "esci", "ablations"} <= set(small)
    assert [f"{name}-full" for name in small] == [name for name in names if name.endswith("-full")]
    for name in names:
        assert load_plan(name).name == name


def test_seeds_and_folds_to_run_take_the_place_of_the_plan_s(tmp_path: Path) -> None:
    plan = ExperimentPlan.model_validate(small_content(tmp_path, folds=3, run_folds=[0]))
    assert plan.fold_numbers == [0]

    changed = plan.with_trials([4], [1, 2])

    assert changed.seeds == (4,)
    assert changed.fold_numbers == [1, 2]
    assert plan.with_trials(None, None) == plan
    assert changed.with_trials(plan.seeds, plan.run_folds) == plan


def test_seeds_or_folds_that_are_wrong_are_refused(tmp_path: Path) -> None:
    plan = ExperimentPlan.model_validate(small_content(tmp_path, folds=3))
    with pytest.raises(ConfigurationError, match="small: seeds: seed 1 is there twice"):
        plan.with_trials([1, 1], None)
    with pytest.raises(ConfigurationError, match="small: run_folds: no fold 3"):
        plan.with_trials(None, [3])


def test_marketplaces_of_all_sequences(tmp_path: Path) -> None:
    content = small_content(tmp_path, sequences=[["us", "es"], ["jp", "us"]])
    assert ExperimentPlan.model_validate(content).marketplaces == ["es", "jp", "us"]
