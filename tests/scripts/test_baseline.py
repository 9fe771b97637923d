from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from model_store.files import write_json
from scripts.demo.baseline import KEPT, Baseline, keep, kept
from scripts.demo.request import DemoRequest
from training.configuration import load_configuration

DEFAULT = DemoRequest(
    data="catalogue",
    sequence=("us", "es", "jp"),
    translation="catalogue",
    seed=0,
    preset="quickstart",
    settings=(),
    folder=Path("demo"),
    baseline=False,
)


def measured(seed: int, auc: float) -> Baseline:
    configuration = load_configuration("quickstart", {}).model_dump(mode="json")
    determining = ("base_encoder", "pair_encoding", "head", "finetuning_stage", "validation_share", "test_share")
    return Baseline(
        data="catalogue",
        sequence=["us", "es", "jp"],
        test_matrix=[dict.fromkeys(("us", "es", "jp"), auc)] * 3,
        trainable_parameters=7,
        seconds=100.0,
        seeds=[seed],
        hardware="two cores",
        commit="0123456789abcdef",
        configuration={name: configuration[name] for name in determining},
    )


def written(folder: Path, *baselines: Baseline) -> list[Path]:
    paths = [folder / f"{place}.json" for place in range(len(baselines))]
    for path, one in zip(paths, baselines, strict=True):
        write_json(path, asdict(one))
    return paths


def test_means_over_seeds_are_kept_and_say_where_they_come_from(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    keep(written(tmp_path, measured(1, 0.8), measured(0, 0.9)), path)
    found = kept(DEFAULT, path)
    assert found is not None
    assert found.test_matrix[2]["jp"] == pytest.approx(0.85)
    assert found.source == "catalogue, mean of seeds 0, 1, two cores, commit 0123456789"


@pytest.mark.parametrize(
    "asked",
    [
        replace(DEFAULT, data="catalogue:300"),
        replace(DEFAULT, data="table:mine.tsv"),
        replace(DEFAULT, sequence=("es", "us", "jp")),
        replace(DEFAULT, settings=("finetuning_stage.epochs=99",)),
        replace(DEFAULT, preset="small", settings=("base_encoder=packaged:1",)),
    ],
    ids=lambda asked: f"{asked.data}-{asked.sequence[0]}-{asked.settings}",
)
def test_kept_figures_are_of_their_data_sequence_and_configuration_only(
    tmp_path: Path, asked: DemoRequest
) -> None:
    path = tmp_path / "kept.json"
    keep(written(tmp_path, measured(0, 0.9)), path)
    assert kept(replace(DEFAULT, seed=7, settings=("adapter_stage.epochs=1",)), path) is not None
    assert kept(asked, path) is None
    assert kept(DEFAULT, tmp_path / "none.json") is None


@pytest.mark.parametrize("other", [measured(0, 0.8), replace(measured(1, 0.8), commit="f" * 40)])
def test_figures_that_do_not_belong_together_are_not_averaged(tmp_path: Path, other: Baseline) -> None:
    with pytest.raises(ValueError, match="differ"):
        keep(written(tmp_path, measured(0, 0.9), other), tmp_path / "kept.json")
    assert not (tmp_path / "kept.json").exists()


def test_figures_that_ship_are_of_what_the_demo_does_by_default() -> None:
    """Whoever changes the preset measures them anew, or removes the file."""
    if KEPT.is_file():
        found = kept(DEFAULT)
        assert found is not None
        assert len(json.loads(KEPT.read_text(encoding="utf-8"))["commit"]) == 40
