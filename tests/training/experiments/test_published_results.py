"""What docs/results.md says is what the runs that are kept beside it gave."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY
from training.experiments.plan.plan import load_plan
from training.experiments.plan.planned_run import first_difference, planned_runs
from training.experiments.report.details import cost_table, matrix_table
from training.experiments.report.reading import read_runs
from training.experiments.report.table1 import table_1
from training.experiments.running.output_folder import decisive_of
from training.experiments.running.run_result import read_result

DOCS = REPOSITORY / "docs"
KEPT = sorted(plan.parent for plan in (DOCS / "results").glob("*/plan.yaml"))
_SOURCE = re.compile(r"<!-- rows of (\S+) -->")


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is published is checked wherever the repository is cloned, without what it was learnt from."""
    monkeypatch.setenv("RELEVANCE_DATA", str(tmp_path / "none"))


def quoted_rows() -> list[tuple[str, list[str]]]:
    """Every table of docs/results.md that names its source, with its rows below the heading."""
    lines = (DOCS / "results.md").read_text(encoding="utf-8").splitlines()
    quoted = []
    for place, line in enumerate(lines):
        if found := _SOURCE.fullmatch(line):
            table = list(takewhile(lambda row: row.startswith("|"), lines[place + 1 :]))
            quoted.append((found[1], table[2:]))
    return quoted


def test_there_is_something_to_check() -> None:
    assert KEPT
    assert quoted_rows()


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_a_kept_report_is_that_of_the_kept_runs(folder: Path) -> None:
    report = (folder / "report" / "report.md").read_text(encoding="utf-8")
    runs = read_runs(folder)
    assert runs.runs
    for group in runs.groups:
        tables = [table_1(group, sequence) for sequence in group.sequences]
        for table in [*tables, cost_table(group)]:
            assert table.markdown() in report
        matrix = matrix_table(group)
        kept = (folder / "report" / "tables" / f"{matrix.name}.csv").read_text(encoding="utf-8")
        assert kept == matrix.csv()


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_the_plan_that_ships_goes_on_from_the_kept_runs(folder: Path) -> None:
    widened = load_plan(folder.name).with_trials_of([load_plan(str(folder / "plan.yaml"))])
    planned = {run.name: run for run in planned_runs(widened)}
    for kept in sorted((folder / "runs").iterdir()):
        result = read_result(kept)
        assert result is not None
        assert first_difference(planned[kept.name].decisive(), decisive_of(result)) is None


@pytest.mark.parametrize(("source", "rows"), quoted_rows())
def test_every_quoted_row_is_in_its_source(source: str, rows: list[str]) -> None:
    summary = (DOCS / source).read_text(encoding="utf-8").splitlines()
    assert rows
    for row in rows:
        assert row in summary
