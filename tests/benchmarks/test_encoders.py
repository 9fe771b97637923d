from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.encoders import judged_pairs, name_of, sampled_pairs
from training.data.sources import parse_source


def test_the_bundled_catalogue_has_texts_in_several_languages_with_both_labels() -> None:
    source = parse_source("catalogue:40")
    found = judged_pairs(source)
    assert len(found.pairs) == len(found.labels) == 40 * len(source.available())
    assert set(found.labels.tolist()) == {0, 1}
    assert len(judged_pairs(source, "us").pairs) == 40
    assert any(not pair.product.title.isascii() for pair in found.pairs)
    assert name_of(source) == "catalogue"


def test_pairs_are_drawn_the_same_every_time() -> None:
    source = parse_source("catalogue:40")
    assert sampled_pairs(source, 10) == sampled_pairs(source, 10)


def test_a_file_can_be_named_instead(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("marketplace,query,product_id,product_title,label\nus,tea,1,green tea,1\n")
    assert [pair.query for pair in judged_pairs(parse_source(str(path))).pairs] == ["tea"]
    assert name_of(parse_source(str(path))) == "pairs.csv"


@pytest.mark.parametrize("command", ["engine", "end-to-end", "interactions", "training"])
def test_data_that_are_not_there_are_refused_with_what_would_do(command: str) -> None:
    pytest.importorskip("adapters", reason="the library that we are measured against is not installed")
    from benchmarks.__main__ import app

    result = CliRunner().invoke(app, [command, "--data", "nowhere.tsv"])
    assert result.exit_code == 2
    assert "no such file or folder" in result.output
