from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support.training.made_up_results import group_of, made_up_result, write_run
from training.experiments.report.figures import draw_figures
from training.experiments.report.style import method_styles
from training.experiments.running.run_result import StepFacts

SEQUENCE = ["us", "es", "jp"]
MATRIX = [
    {"us": 0.90, "es": 0.70, "jp": 0.65},
    {"us": 0.84, "es": 0.80, "jp": 0.68},
    {"us": 0.86, "es": 0.82, "jp": 0.75},
]
SVG = "{http://www.w3.org/2000/svg}"


def texts(path: Path) -> list[str]:
    """What a reader of an SVG reads."""
    root = ET.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314 - our own file
    assert root.tag == f"{SVG}svg"
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def write_methods(folder: Path) -> None:
    for seed in (0, 1):
        write_run(folder, made_up_result("single_marketplace", SEQUENCE, MATRIX, seed, is_continual=False))
        write_run(folder, made_up_result("hat", SEQUENCE, MATRIX, seed))
        attention = {name: [[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]] for name in SEQUENCE}
        fused = made_up_result(
            "attention_distillation", SEQUENCE, MATRIX, seed, adapters=tuple(SEQUENCE), attention=attention
        )
        write_run(folder, fused)


def write_shares(folder: Path) -> None:
    """The gain over 0 % is 0.01 at 30 %, and -0.02 at 100 %."""
    for share, gain in ((0.0, 0.0), (0.3, 0.01), (1.0, -0.02)):
        matrix = [*MATRIX[:-1], {"us": 0.86 + gain, "es": 0.82 + gain, "jp": 0.75}]
        steps = [
            StepFacts(
                marketplace=name,
                seconds=10 + 20 * share,
                translation_seconds=5 * share,
                trainable_parameters=100,
                train_rows=100,
                translated_rows={"us": int(100 * share)} if share else {},
            )
            for name in SEQUENCE
        ]
        configuration = {"translation": "none" if share == 0 else "opus_mt", "translated_share": share or 0.3}
        result = made_up_result(
            f"share_{share:.0%}".rstrip("%"),
            SEQUENCE,
            matrix,
            method="attention_distillation_translation",
            steps=steps,
            configuration=configuration,
        )
        write_run(folder, result)


def test_every_figure_is_there_as_png_and_svg_with_its_texts(tmp_path: Path) -> None:
    write_methods(tmp_path / "runs")
    figures = {figure.name: figure for figure in draw_figures(group_of(tmp_path), tmp_path)}
    expected = {
        "steps.us+es+jp": [
            "us (untrained cosine 0.600)",
            "step: marketplace learnt",
            "test ROC-AUC",
            "Hat",
            "2: es",
        ],
        "matrix.us+es+jp": ["untrained", "after es", "Hat", "tested on", "test ROC-AUC", "0.840", "0.600"],
        "parameters.us+es+jp": ["final average test ROC-AUC", "parameters in all", "Single marketplace"],
        "attention.attention_distillation.us+es+jp": ["rows of jp", "adapter", "layer", "0.70", "mean attention"],
    }
    assert set(figures) == set(expected)
    for name, words in expected.items():
        shown = texts(tmp_path / f"{name}.svg")
        assert set(words) <= set(shown), name
        png = (tmp_path / f"{name}.png").read_bytes()
        assert png.startswith(b"\x89PNG")
        assert len(png) > 10_000


def test_figure_4_shows_the_gain_and_the_times_by_share(tmp_path: Path) -> None:
    write_shares(tmp_path / "runs")
    names = [figure.name for figure in draw_figures(group_of(tmp_path), tmp_path)]
    assert names[0] == "figure4.us+es+jp"
    shown = texts(tmp_path / "figure4.us+es+jp.svg")
    wanted = {"0%", "30%", "100%", "gain over 0% translated", "seconds", "gain", "training", "translating"}
    assert wanted <= set(shown)


def test_a_joint_method_alone_has_no_curves(tmp_path: Path) -> None:
    joint = made_up_result("adapter_fusion_joint", SEQUENCE, MATRIX[-1:], is_continual=False)
    write_run(tmp_path / "runs", joint)
    assert [figure.name for figure in draw_figures(group_of(tmp_path), tmp_path)] == ["parameters.us+es+jp"]


def test_columns_that_are_missing_leave_a_gap(tmp_path: Path) -> None:
    matrix = [{"us": 0.9}, {"us": 0.8, "es": 0.8}, MATRIX[-1]]
    write_run(tmp_path / "runs", made_up_result("hat", SEQUENCE, matrix))
    list(draw_figures(group_of(tmp_path), tmp_path))
    shown = texts(tmp_path / "matrix.us+es+jp.svg")
    # three untrained, one, two and three learnt, and the ticks of the colour bar have other decimals
    assert [text for text in shown if text == "0.600"] == ["0.600"] * 3
    assert "nan" not in shown


def test_a_method_looks_the_same_in_every_report(tmp_path: Path) -> None:
    write_methods(tmp_path / "one")
    write_run(tmp_path / "two", made_up_result("hat", SEQUENCE, MATRIX))
    one, two = (method_styles(group_of(tmp_path / name).methods)["hat"] for name in ("one", "two"))
    assert (one.colour, one.marker) == (two.colour, two.marker)


@pytest.mark.parametrize("number", [3, 12])
def test_rows_of_one_method_can_be_told_apart(tmp_path: Path, number: int) -> None:
    for place in range(number):
        write_run(tmp_path, made_up_result(f"hat_{place}", SEQUENCE, MATRIX, method="hat"))
    styles = method_styles(group_of(tmp_path).methods)
    assert len({(style.colour, style.marker) for style in styles.values()}) == number
    assert len({style.marker for style in styles.values()}) == number
