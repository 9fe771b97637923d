"""What docs/results.md shows is what is kept of the reports, and little enough is kept."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.docs.results import MARKER, MOST_FIGURES, PAGES, app, with_tables
from tests.support import REPOSITORY
from tests.support.training.made_up_results import write_drawn, write_plan
from training.experiments.plan.plan import load_plan, shipped_plans
from training.experiments.plan.planned_run import first_difference, planned_runs
from training.experiments.report.markdown import write_report

RESULTS = REPOSITORY / "docs" / "results"
PLANS = shipped_plans()
TEXT = "".join(page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_table_says_what_its_csv_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert with_tables(text, page.parent) == text


def test_a_number_that_is_changed_by_hand_is_noticed() -> None:
    page = PAGES[0]
    text = page.read_text(encoding="utf-8")
    wrong = re.sub(r"0\.8401", "0.9401", text, count=1)
    assert wrong != text
    assert with_tables(wrong, page.parent) == text


def test_what_is_kept_is_shown_and_small() -> None:
    files = [path for path in RESULTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2e6
    for path in files:
        assert path.name == "plan.yaml" or f"results/{path.parent.name}/{path.name}" in TEXT, path
    for folder in RESULTS.iterdir():
        assert load_plan(str(folder / "plan.yaml")).methods
        assert list(folder.glob("*.csv"))
        assert len(list(folder.glob("*.svg"))) <= MOST_FIGURES


@pytest.mark.parametrize("name", sorted(set(PLANS) & {path.name for path in RESULTS.iterdir()}))
def test_the_plan_that_ships_makes_the_runs_of_the_page(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELEVANCE_DATA", "/none")
    kept = load_plan(str(RESULTS / name / "plan.yaml"))
    shipped = {run.name: run for run in planned_runs(load_plan(name).with_trials_of([kept]))}
    for run in planned_runs(kept):
        assert first_difference(shipped[run.name].decisive(), run.decisive()) is None


def test_a_report_is_kept_and_shown(tmp_path: Path) -> None:
    experiment = tmp_path / "var" / "mine"
    write_plan(experiment, ["b_cl", "hat"], [["us", "es"]], seeds=[0, 1])
    write_drawn(experiment / "runs", "b_cl", 0.5)
    write_drawn(experiment / "runs", "hat", 1.0)
    write_report(experiment, experiment / "report", "python -m training report mine", replicates=100)
    group = next(path.name for path in (experiment / "report" / "tables").glob("comparisons.*"))
    group = group.removeprefix("comparisons.").removesuffix(".csv")
    with (experiment / "report" / "tables" / f"comparisons.{group}.csv").open(encoding="utf-8") as file:
        compared = next(row for row in csv.DictReader(file) if row["of"] == "average")
    kept = tmp_path / "results"
    arguments = [
        "keep",
        str(experiment),
        "--against",
        compared["rival"],
        "--into",
        str(kept),
        "--figure",
        f"steps.{group}",
    ]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert sorted(path.name for path in (kept / "mine").iterdir()) == sorted(
        ["plan.yaml", f"{group}.csv", f"steps.{group}.svg"]
    )
    page = with_tables(
        f"# Mine\n\n<!-- table: results/mine/{group}.csv columns: average against n -->\n", tmp_path
    )
    assert MARKER.search(page)
    assert f"{float(compared['difference']):+.4f} [" in page
    assert float(compared["difference"]) != 0


def test_more_figures_than_a_page_shows_are_refused(tmp_path: Path) -> None:
    figures = [word for name in "abcd" for word in ("--figure", name)]
    outcome = CliRunner().invoke(
        app, ["keep", str(tmp_path), "--against", "x", "--into", str(tmp_path / "to"), *figures]
    )
    assert outcome.exit_code == 2
    assert "at most 3" in outcome.output
