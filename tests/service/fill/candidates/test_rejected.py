from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError
from model_store.tables.values import BadRow
from service.fill.candidates.rejected import RejectedRows


def test_no_file_comes_into_being_without_a_bad_row(tmp_path: Path) -> None:
    rejected = RejectedRows(tmp_path / "fills" / "rejected.jsonl")
    rejected.close()
    assert rejected.path is None
    assert not list(tmp_path.iterdir())


def test_every_bad_row_is_a_line_that_tells_where_and_why(tmp_path: Path) -> None:
    rejected = RejectedRows(tmp_path / "fills" / "rejected.jsonl")
    rejected.add(tmp_path / "日本.tsv", BadRow(7, "the text is empty", "query"))
    rejected.add(tmp_path / "b.csv", BadRow(9, "broken: \udce9"))
    rejected.close()
    assert rejected.path == tmp_path / "fills" / "rejected.jsonl"
    first, second = (json.loads(line) for line in rejected.path.read_text(encoding="utf-8").splitlines())
    assert first == {
        "file": str(tmp_path / "日本.tsv"),
        "row": 7,
        "field": "query",
        "reason": "the text is empty",
    }
    assert (second["field"], second["reason"]) == (None, "broken: ?")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "fills").write_text("")
    with pytest.raises(ConfigurationError, match="setting FILL_FOLDER"):
        RejectedRows(tmp_path / "fills" / "rejected.jsonl")
