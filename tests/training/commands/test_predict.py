from __future__ import annotations

import os
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, InputError, RelevanceError
from tests.support.tiny_model import build_tiny_store
from training.commands.predict import CHUNK, predict_file

_HEADER = "marketplace\tquery\tproduct_id\tproduct_title"
_ROWS = ('us\tmonitor 27" black\tp"1\tMonitor', 'us\tlamp\tp2\tDesk "x" lamp', 'es\t"lámpara\tp3\tlámpara')


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_store(tmp_path_factory.mktemp("predict"))


def _table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([_HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def _predict(file: Path, output: Path, store: Path) -> list[list[str]]:
    predict_file(file, output, None, None, "latest", store)
    return [line.split("\t") for line in output.read_text(encoding="utf-8").splitlines()]


def test_texts_are_written_as_they_were_read(store: Path, tmp_path: Path) -> None:
    found = _predict(_table(tmp_path / "a.tsv", *_ROWS), tmp_path / "new" / "scores.tsv", store)
    assert [row[:4] for row in found[1:]] == [
        ["2", "us", 'monitor 27" black', 'p"1'],
        ["3", "us", "lamp", "p2"],
        ["4", "es", '"lámpara', "p3"],
    ]


def test_a_line_end_within_a_field_makes_no_row_of_its_own(store: Path, tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text(
        'marketplace,query,id,title\nus,"desk\nlamp\twarm",p1,lamp\nus,tea,p2,tea\n', encoding="utf-8"
    )
    found = _predict(table, tmp_path / "scores.tsv", store)
    assert [row[2] for row in found[1:]] == ["desk lamp warm", "tea"]


@pytest.mark.parametrize("bad", ["us\t\tp9\tno query", "us\ttea\tp9", "us\ttea\tp9\ta\x00b", "fr\ttea\tp9\tthé"])
def test_a_bad_row_after_many_good_ones_leaves_the_old_output(store: Path, tmp_path: Path, bad: str) -> None:
    output = tmp_path / "out" / "scores.tsv"
    output.parent.mkdir()
    output.write_text("of yesterday", encoding="utf-8")
    with pytest.raises(RelevanceError):
        _predict(_table(tmp_path / "a.tsv", *_ROWS * (CHUNK // 3 + 1), bad), output, store)
    assert output.read_text(encoding="utf-8") == "of yesterday"
    assert list(output.parent.iterdir()) == [output]


def test_an_input_that_is_not_there_or_no_file_leaves_nothing(store: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tsv")
    for name in ("missing.tsv", "pipe.tsv", "."):
        with pytest.raises(InputError):
            _predict(tmp_path / name, tmp_path / "out" / "scores.tsv", store)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("output", ["/dev/full", ".", "a.tsv/scores.tsv"])
def test_an_output_that_cannot_be_written_is_named(store: Path, tmp_path: Path, output: str) -> None:
    table = _table(tmp_path / "a.tsv", *_ROWS)
    with pytest.raises(ConfigurationError, match="--output"):
        _predict(table, tmp_path / output, store)
