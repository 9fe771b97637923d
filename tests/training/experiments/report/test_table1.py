from __future__ import annotations

from pathlib import Path

from tests.support.training.made_up_results import (
    US_ES,
    made_up_result,
    write_plan,
    write_run,
    write_two_methods,
)
from training.experiments.report.markdown import group_tables
from training.experiments.report.reading import read_runs


def tables_of(folder: Path) -> str:
    """All tables as the report prints them."""
    tables = [table for group in read_runs(folder).groups for table in group_tables(group, 200).shown]
    return "\n".join(table.markdown() for table in tables)


def rows_of(text: str, title: str) -> dict[str, list[str]]:
    """The rows of one Markdown table by their first cell."""
    lines = text.partition(f"### {title}\n\n")[2].partition("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_table_1_by_hand(tmp_path: Path) -> None:
    write_two_methods(tmp_path)
    rows = rows_of(tables_of(tmp_path), "Table 1: us → es")
    assert rows["method"] == ["us", "es", "average", "trained", "total", "n"]
    assert rows["Untrained cosine"] == ["0.6000 ± 0.0000", "0.6000 ± 0.0000", "0.6000 ± 0.0000", "–", "–", "2"]
    # (0.80 + 0.82) / 2 ± 0.02 / sqrt(2)
    single = ["0.8100 ± 0.0141", "0.7100 ± 0.0141", "0.7600 ± 0.0141", "590k", "22.1M", "2"]
    assert rows["Single Marketplace"] == single
    assert rows["HAT: us → es"] == [
        "0.8200 ± 0.0141 (+0.0100)",
        "0.7000 ± 0.0141 (-0.0100)",
        "0.7600 ± 0.0141 (0.0000)",
        "590k",
        "22.1M",
        "2",
    ]


def test_table_1_has_every_step_but_the_first(tmp_path: Path) -> None:
    matrix = [
        {"us": 0.8, "es": 0.6, "jp": 0.6},
        {"us": 0.79, "es": 0.7, "jp": 0.61},
        {"us": 0.78, "es": 0.69, "jp": 0.75},
    ]
    write_run(tmp_path / "runs", made_up_result("hat", ["us", "es", "jp"], matrix, title="HAT"))
    rows = rows_of(tables_of(tmp_path), "Table 1: us → es → jp")
    assert list(rows)[2:] == ["Untrained cosine", "HAT: us → es", "HAT: us → es → jp"]
    assert rows["HAT: us → es"] == ["0.7900", "0.7000", "–", "0.7450", "590k", "–", "1"]
    assert rows["HAT: us → es → jp"] == ["0.7800", "0.6900", "0.7500", "0.7400", "590k", "22.1M", "1"]


def test_table_2_by_hand(tmp_path: Path) -> None:
    write_two_methods(tmp_path)
    for seed in (0, 1):
        more = 0.01 * seed
        ctr = [{"us": 0.7, "es": 0.6}, {"us": 0.70 + more, "es": 0.60}]
        write_run(tmp_path / "runs", made_up_result("ctr", US_ES, ctr, seed, title="CTR"))
    rows = rows_of(tables_of(tmp_path), "Table 2: us, es, one sequence")
    # t(1, 97.5 %) = 12.7062; average 0.75 and 0.77: 0.76 ± 12.7062 * 0.01
    assert rows["HAT"][:3] == ["0.8200 ± 0.0141", "0.7000 ± 0.0141", "0.7600 [0.6329, 0.8871]"]
    assert rows["HAT"][3:6] == [
        "-0.0100 [-0.0100, -0.0100]",
        "+0.0500 [+0.0500, +0.0500]",
        "+0.0100 [+0.0100, +0.0100]",
    ]
    assert rows["HAT"][6].startswith("+0.1075 [")
    assert rows["HAT"][6].endswith("p = 0.020 * (CTR)")
    assert rows["CTR"][6].startswith("-0.1075 [")
    assert "Single Marketplace" not in rows


def test_results_are_averaged_over_sequences_within_a_seed(tmp_path: Path) -> None:
    for seed, best in ((0, 0.80), (1, 0.84)):
        for sequence, worse in ((US_ES, 0.0), (US_ES[::-1], 0.04)):
            final = {"us": best - worse, "es": 0.7}
            matrix = [{"us": 0.6, "es": 0.6}, final]
            write_run(tmp_path / "runs", made_up_result("hat", sequence, matrix, seed, title="HAT"))
    text = tables_of(tmp_path)
    rows = rows_of(text, "Table 2: es, us, averaged over 2 sequences")
    # us is (0.80 + 0.76) / 2 with one seed, (0.84 + 0.80) / 2 with the other
    assert rows["HAT"][:2] == ["0.7000 ± 0.0000", "0.8000 ± 0.0283"]
    assert rows_of(text, "Table 1: us → es")["HAT: us → es"][0] == "0.8200 ± 0.0283"
    assert rows_of(text, "Table 1: es → us")["HAT: es → us"][1] == "0.7800 ± 0.0283"


def test_gains_over_the_references(tmp_path: Path) -> None:
    write_two_methods(tmp_path)
    rows = rows_of(tables_of(tmp_path), "Against the references: us, es")
    assert rows["HAT"][0] == "+0.2200 [+0.0929, +0.3471]"
    assert rows["HAT"][3] == "0.0000 [0.0000, 0.0000]"
    assert rows["Single Marketplace"][3] == "–"


def test_sets_of_marketplaces_have_their_own_tables(tmp_path: Path) -> None:
    for sequence in (US_ES, ["jp"]):
        matrix = [dict.fromkeys(sequence, 0.8)] * len(sequence)
        write_run(tmp_path / "runs", made_up_result("hat", sequence, matrix, title="HAT"))
    text = tables_of(tmp_path)
    assert rows_of(text, "Table 1: jp")["HAT: jp"][0] == "0.8000"
    assert rows_of(text, "Table 2: jp, one sequence")["HAT"][2:5] == ["–", "–", "–"]
    assert rows_of(text, "Table 2: us, es, one sequence")["HAT"][3] == "0.0000"


def test_folds_are_trials_with_the_wider_interval(tmp_path: Path) -> None:
    for fold, auc in enumerate((0.80, 0.82, 0.87)):
        matrix = [{"us": auc, "es": 0.6}, {"us": auc, "es": auc}]
        write_run(tmp_path / "runs", made_up_result("hat", US_ES, matrix, title="HAT", fold=fold, folds=3))
    text = tables_of(tmp_path)
    # 0.83 ± 4.302653 * 0.0360555 * sqrt(1 / 3 + 1 / 2)
    assert rows_of(text, "Table 2: us, es, one sequence")["HAT"][2] == "0.8300 [0.6884, 0.9716]"


def test_rows_with_one_title_get_their_labels(tmp_path: Path) -> None:
    for label in ("hat", "hat_wide"):
        matrix = [{"us": 0.8, "es": 0.6}, {"us": 0.8, "es": 0.7}]
        write_run(tmp_path / "runs", made_up_result(label, US_ES, matrix, title="HAT", method="hat"))
    rows = rows_of(tables_of(tmp_path), "Table 2: us, es, one sequence")
    assert list(rows)[2:] == ["HAT (hat)", "HAT (hat_wide)"]


def test_other_untrained_encoders_have_their_own_rows(tmp_path: Path) -> None:
    for label, untrained in (("hat", 0.6), ("ctr", 0.5), ("b_cl", 0.6)):
        matrix = [{"us": 0.8, "es": 0.6}, {"us": 0.8, "es": 0.7}]
        write_run(tmp_path / "runs", made_up_result(label, US_ES, matrix, zero_shot=untrained))
    rows = rows_of(tables_of(tmp_path), "Table 1: us → es")
    untrained_rows = {title: row[0] for title, row in rows.items() if title.startswith("Untrained")}
    assert sorted(untrained_rows.values()) == ["0.5000", "0.6000"]
    assert untrained_rows["Untrained cosine (ctr)"] == "0.5000"


def test_rows_with_missing_runs_are_marked(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    write_plan(tmp_path, ["single_marketplace", "hat"], [US_ES], seeds=[0, 1])
    text = tables_of(tmp_path)
    assert rows_of(text, "Table 1: us → es")["HAT: us → es †"][0] == "0.8100 (+0.0100)"
    assert "† Some of the row's planned runs are missing" in text


def test_without_single_marketplace_there_are_no_differences(tmp_path: Path) -> None:
    matrix = [{"us": 0.8, "es": 0.6}, {"us": 0.8, "es": 0.7}]
    write_run(tmp_path / "runs", made_up_result("hat", US_ES, matrix, title="HAT"))
    text = tables_of(tmp_path)
    assert rows_of(text, "Table 1: us → es")["HAT: us → es"][:2] == ["0.8000", "0.7000"]
    assert "There is no Single Marketplace row to take differences to." in text


def test_one_trial_has_no_deviation_and_no_interval(tmp_path: Path) -> None:
    write_two_methods(tmp_path, seeds=(0,))
    rows = rows_of(tables_of(tmp_path), "Table 2: us, es, one sequence")
    assert rows["HAT"][:4] == ["0.8100", "0.6900", "0.7500", "-0.0100"]


def test_a_p_value_is_never_shown_as_zero(tmp_path: Path) -> None:
    for label, auc in (("hat", 0.9), ("ctr", 0.6)):
        write_run(tmp_path, made_up_result(label, US_ES, [{"us": 0.5, "es": 0.5}, {"us": auc, "es": auc}]))
    tables = [table for group in read_runs(tmp_path).groups for table in group_tables(group, 10_000).shown]
    assert "p < 0.001 *" in "\n".join(table.markdown() for table in tables)
