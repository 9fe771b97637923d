from __future__ import annotations

from pathlib import Path

from tests.support.training.made_up_results import (
    US_ES,
    made_up_result,
    write_plan,
    write_run,
    write_two_methods,
)
from training.experiments.report.facts import facts, warnings
from training.experiments.report.reading import read_runs


def warnings_of(folder: Path) -> str:
    return "\n".join(warnings(read_runs(folder)))


def test_provenance_is_told(tmp_path: Path) -> None:
    write_two_methods(tmp_path)
    runs = read_runs(tmp_path)
    summary = facts(runs)
    expected = {
        "Plan": "made_up",
        "Data": "catalogue:100",
        "Encoder": "packaged:4",
        "Test rows": "us 200, es 200",
        "Sequences": "us → es",
        "Seeds": "0, 1",
        "Folds": "none",
        "Hardware": "a processor, 2 cores, 2 threads",
        "Commit": "0123abc",
        "Versions": "torch 2.13.0",
        "Run on": "2026-01-02",
    }
    assert {title: summary[title] for title in expected} == expected
    assert warnings(runs) == []


def test_folds_are_told(tmp_path: Path) -> None:
    matrix = [{"us": 0.8, "es": 0.6}, {"us": 0.8, "es": 0.7}]
    write_run(tmp_path / "runs", made_up_result("hat", US_ES, matrix, fold=1, folds=5))
    assert facts(read_runs(tmp_path))["Folds"] == "5-fold cross-validation by query"


def test_one_seed_alone_is_told(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    assert warnings_of(tmp_path) == "us, es: n = 1, hence no interval, for hat, single_marketplace."


def test_mixed_hardware_commits_and_settings_are_told(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0, 1))
    write_two_methods(
        tmp_path,
        seeds=(2,),
        hardware="a GPU",
        commit="4567def-dirty",
        configuration={"seed": 2, "base_encoder": "packaged:4", "finetuning_stage": {"epochs": 9}},
    )
    text = warnings_of(tmp_path)
    assert "Mixed hardware: times are not comparable between them (" in text
    assert "a GPU (2 runs)" in text
    assert "a processor, 2 cores, 2 threads (4 runs)" in text
    assert "Mixed commits" in text
    assert "2 runs were made with code that differs from the commit named (-dirty)." in text
    differ = "Runs of single_marketplace differ in their configuration"
    assert f"{differ}: finetuning_stage.epochs was 5 and is now 9" in text
    assert "Runs of hat differ" not in text  # it reads no stage of fine-tuning


def test_missing_runs_are_told(tmp_path: Path) -> None:
    """Single Marketplace has no order: one run for both sequences."""
    write_two_methods(tmp_path, seeds=(0,))
    write_plan(tmp_path, ["single_marketplace", "hat", "ctr"], [US_ES, US_ES[::-1]], seeds=[0])
    summary = "3 of 5 planned runs are missing: hat.es+us.seed0, ctr.us+es.seed0, ctr.es+us.seed0."
    assert summary in warnings_of(tmp_path)
    assert facts(read_runs(tmp_path))["Runs"] == "2 finished, 3 missing"


def test_without_a_plan_nobody_knows_what_is_missing(tmp_path: Path) -> None:
    write_two_methods(tmp_path)
    assert facts(read_runs(tmp_path))["Runs"] == "4 finished; there is no plan.yaml to tell what is missing"


def test_runs_that_the_plan_no_longer_names_are_left_out_and_named(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    write_plan(tmp_path, ["hat"], [US_ES], seeds=[0])
    assert "Left out, as the plan does not name them: single_marketplace.us+es.seed0." in warnings_of(tmp_path)
    assert [run.result.label for run in read_runs(tmp_path).runs] == ["hat"]
