from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, InputError
from tests.support.training.made_up_results import write_two_methods
from training.experiments.report.reading import read_runs
from training.experiments.running.run_result import RESULT


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", r"hat\.us\+es\.seed0/result\.json: no JSON"),
        ('{"plan": 3}', r"hat\.us\+es\.seed0/result\.json, field 'plan': Input should be a valid string"),
    ],
)
def test_a_broken_result_is_named(tmp_path: Path, content: str, problem: str) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    (tmp_path / "runs" / "hat.us+es.seed0" / RESULT).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        read_runs(tmp_path)


def test_a_result_without_its_final_auc_is_named(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    path = tmp_path / "runs" / "hat.us+es.seed0" / RESULT
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["test_matrix"][-1]["es"]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"hat\.us\+es\.seed0/result\.json.*no final ROC-AUC of 'es'"):
        read_runs(tmp_path)


def test_two_results_of_one_run_are_refused(tmp_path: Path) -> None:
    for place in ("a", "b"):
        write_two_methods(tmp_path / place, seeds=(0,))
    with pytest.raises(InputError, match=r"two results of the run hat\.us\+es\.seed0"):
        read_runs(tmp_path)


def test_results_of_two_plans_are_refused(tmp_path: Path) -> None:
    write_two_methods(tmp_path / "a", seeds=(0,))
    write_two_methods(tmp_path / "b", seeds=(1,), plan="another")
    with pytest.raises(InputError, match="results of two plans"):
        read_runs(tmp_path)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no result\.json"):
        read_runs(tmp_path)


def test_a_broken_plan_is_named(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    (tmp_path / "plan.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"plan\.yaml: .* is no YAML"):
        read_runs(tmp_path)


def test_what_a_run_that_goes_on_has_so_far_is_not_read(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    stage = tmp_path / "runs" / "ctr.us+es.seed0" / "work" / "method" / "us" / RESULT
    stage.parent.mkdir(parents=True)
    stage.write_text('{"epoch": 3}', encoding="utf-8")
    assert [run.result.label for run in read_runs(tmp_path).runs] == ["hat", "single_marketplace"]
