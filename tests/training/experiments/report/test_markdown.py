from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_store.errors import ConfigurationError
from tests.support.training.made_up_results import US_ES, write_plan, write_two_methods
from training.cli import app
from training.experiments.report.markdown import write_report

REPLICATES = 200


def report_of(folder: Path) -> str:
    write_report(folder, folder / "report", "the command", REPLICATES)
    return (folder / "report" / "report.md").read_text(encoding="utf-8")


def csv_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "report" / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_report_shows_every_table_and_figure(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    text = report_of(tmp_path)
    assert "| HAT: us → es | 0.8100 (+0.0100) | 0.6900 (-0.0100) | 0.7500 (0.0000) | 590k | 22.1M | 1 |" in text
    assert "Made by `the command`" in text
    assert "- us, es: n = 1, hence no interval" in text.partition("## What to know first")[2]
    figures = ["steps.us+es", "matrix.us+es", "parameters.us+es"]
    for figure in figures:
        assert f"](figures/{figure}.svg)" in text
    assert sorted(path.name for path in (tmp_path / "report" / "figures").iterdir()) == sorted(
        f"{figure}.{ending}" for figure in figures for ending in ("png", "svg")
    )


def test_csv_has_the_numbers_in_full(tmp_path: Path) -> None:
    write_two_methods(tmp_path)
    report_of(tmp_path)
    row = next(row for row in csv_of(tmp_path, "table1.us+es") if row["label"] == "hat")
    assert float(row["us_mean"]) == pytest.approx(0.82, abs=1e-4)
    assert float(row["us_std"]) == pytest.approx(0.02 / 2**0.5, abs=1e-4)
    assert float(row["us_difference"]) == pytest.approx(0.01, abs=1e-4)
    assert row["total"] == "22100000"
    pair, us, es = csv_of(tmp_path, "comparisons.us+es")
    assert [row["of"] for row in (pair, us, es)] == ["average", "us", "es"]
    assert (pair["label"], pair["rival"]) == ("hat", "single_marketplace")
    assert len(csv_of(tmp_path, "runs")) == 4
    matrix = {
        (row["label"], row["step"], row["marketplace"]): row["mean"] for row in csv_of(tmp_path, "matrix.us+es")
    }
    assert float(matrix["hat", "1", "us"]) == pytest.approx(0.83)


def test_the_summary_is_for_programs(tmp_path: Path) -> None:
    write_two_methods(tmp_path)
    report_of(tmp_path)
    summary = json.loads((tmp_path / "report" / "summary.json").read_text(encoding="utf-8"))
    (group,) = summary["groups"]
    assert group["marketplaces"] == US_ES
    assert group["methods"]["hat"]["backward_transfer"]["mean"] == pytest.approx(-0.01)
    assert group["methods"]["single_marketplace"]["forgetting"] is None
    assert summary["command"] == "the command"
    for figure in group["figures"]:
        assert (tmp_path / "report" / "figures" / f"{figure}.svg").is_file()


def test_a_newer_report_leaves_nothing_of_the_older_one(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    report_of(tmp_path)
    stale = tmp_path / "report" / "figures" / "stale.png"
    stale.write_bytes(b"")
    report_of(tmp_path)
    assert not stale.exists()


def test_a_folder_with_other_things_is_not_written_to(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    output = tmp_path / "report"
    output.mkdir()
    (output / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="something else than a report"):
        report_of(tmp_path)
    assert [path.name for path in output.iterdir()] == ["thesis.tex"]


def test_the_same_results_give_the_same_report(tmp_path: Path) -> None:
    write_two_methods(tmp_path)
    write_report(tmp_path, tmp_path / "one", "c", REPLICATES)
    write_report(tmp_path, tmp_path / "two", "c", REPLICATES)
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(names) > 10
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_the_command_writes_the_report_and_says_what_is_missing(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    write_plan(tmp_path, ["single_marketplace", "hat"], [US_ES], seeds=[0, 1])
    output = tmp_path / "elsewhere"
    result = CliRunner().invoke(app, ["report", str(tmp_path), "--output", str(output), "--replicates", "100"])
    assert result.exit_code == 0, result.output
    assert "2 planned runs are missing" in result.stderr.replace("\n", " ")
    text = (output / "report.md").read_text(encoding="utf-8")
    assert f"python -m training report {tmp_path} --output {output} --replicates 100" in text
