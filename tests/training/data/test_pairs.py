from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from model_store.errors import InputError
from training.data.pairs import RelevancePair
from training.data.splits import read_pairs, write_pairs

_PAIR = RelevancePair("jp", "黒い 本棚", "B01", "本棚 ブラック", 1, "brand", "黒", "a\nb", "d")


def test_pairs_come_back_exactly(tmp_path: Path) -> None:
    strange = RelevancePair("us", ' "q"\t\\ ', "1", "a\u2028b\x85c\r\nd\x00e 😀", 0)
    path = tmp_path / "new" / "train.jsonl"
    write_pairs(path, [_PAIR, strange])
    assert read_pairs(path) == [_PAIR, strange]


def test_no_pairs_come_back_as_none(tmp_path: Path) -> None:
    write_pairs(tmp_path / "empty.jsonl", [])
    assert read_pairs(tmp_path / "empty.jsonl") == []


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    def interrupted() -> Iterator[RelevancePair]:
        yield _PAIR
        raise KeyboardInterrupt

    path = tmp_path / "train.jsonl"
    write_pairs(path, [_PAIR])
    with pytest.raises(KeyboardInterrupt):
        write_pairs(path, interrupted())
    assert read_pairs(path) == [_PAIR]
    assert list(tmp_path.iterdir()) == [path]


def test_a_lone_surrogate_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    with pytest.raises(InputError, match=r"train\.jsonl, row 2: .*lone surrogate"):
        write_pairs(path, [_PAIR, RelevancePair("us", "\ud800", "1", "t", 0)])
    assert not path.exists()


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("{", "row 2"),
        ('{"marketplace": "us", "query": "q"}', "row 2, field 'product_id'"),
        (
            '{"marketplace": "us", "query": "q", "product_id": 3, "product_title": "t", "label": 1}',
            "row 2, field 'product_id'",
        ),
        (
            '{"marketplace": "us", "query": "q", "product_id": "3", "product_title": "t", "label": 2}',
            "row 2, field 'label'",
        ),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, place: str) -> None:
    path = tmp_path / "train.jsonl"
    write_pairs(path, [_PAIR])
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=place):
        read_pairs(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl: cannot be read"):
        read_pairs(tmp_path / "nowhere.jsonl")
