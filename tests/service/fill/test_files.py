from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import ConfigurationError
from service.fill.candidates.query_log import QueryLog
from service.fill.files import ResumedFile


def test_what_a_checkpoint_does_not_know_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "fill" / "rows"
    with ResumedFile(path, 0) as file:
        file.write(b"known, and more")
        file.sync()
        assert path.read_bytes() == b"known, and more"
    with ResumedFile(path, 5) as file:
        file.write(b"!")
    assert path.read_bytes() == b"known!"
    with ResumedFile(path, 0):
        assert path.read_bytes() == b""


def test_a_folder_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"setting FILL_FOLDER: .*file"):
        ResumedFile(tmp_path / "file" / "rows", 0)


def test_queries_noted_after_a_checkpoint_do_not_count(tmp_path: Path) -> None:
    log = QueryLog(tmp_path / "queries")
    log.add(["tea", "sofa", "tea"])
    log.sync()
    size = log.size
    log.add(["chair"])
    assert log.distinct() == 3
    log.close()
    again = QueryLog(tmp_path / "queries", size)
    assert again.distinct() == 2
    again.add(["sofa", "lamp"])
    assert again.distinct() == 3
    again.close()
