from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.errors import ConfigurationError
from model_store.tables.tsv_writer import TsvWriter

_FIELDS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=2, max_size=2)


def _written(path: Path, rows: list[list[str]]) -> list[list[str]]:
    with TsvWriter(path, ("a", "b")) as table:
        for row in rows:
            table.write(*row)
    header, *lines = path.read_bytes().decode().removesuffix("\n").split("\n")
    assert header == "a\tb"
    return [line.split("\t") for line in lines]


@given(st.lists(_FIELDS, max_size=5))
def test_every_row_is_a_line_with_its_fields(rows: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = _written(Path(folder) / "a.tsv", rows)
    assert [len(row) for row in found] == [2] * len(rows)
    for row, written in zip(rows, found, strict=True):
        for field, text in zip(row, written, strict=True):
            assert [word for word in text.split(" ") if word] == [
                word for word in field.replace("\t", " ").replace("\r", " ").replace("\n", " ").split(" ") if word
            ]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('monitor 27" black', 'monitor 27" black'),
        ('"quoted"', '"quoted"'),
        ("a\tb\r\nc", "a b c"),
        ("  two  spaces  ", "  two  spaces  "),
        ("a\u2028b\x0bc", "a\u2028b\x0bc"),
    ],
)
def test_quotes_are_characters_and_separators_become_spaces(tmp_path: Path, field: str, expected: str) -> None:
    assert _written(tmp_path / "new folder" / "a.tsv", [[field, "x"]]) == [[expected, "x"]]


def test_a_full_disk_a_folder_and_a_file_as_folder_name_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (Path("/dev/full"), tmp_path, tmp_path / "file" / "a.tsv"):
        with pytest.raises(ConfigurationError, match=r"--output .*; make room, or choose"):
            _written(path, [["a", "b"]])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_error_of_whoever_gives_the_rows_is_its_own_and_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with TsvWriter(tmp_path / "a.tsv", ("a",)) as table:
            table.write("1")
            raise OSError("the input cannot be read")

    with pytest.raises(OSError, match="the input cannot be read"):
        interrupted()
    assert not list(tmp_path.iterdir())
