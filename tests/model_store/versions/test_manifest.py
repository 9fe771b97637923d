from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from model_store.errors import VersionCorruptError
from model_store.product import Product, QueryProductPair
from model_store.versions.manifest import EvaluationSet, read_evaluation_rows

LINE = {
    "marketplace": "us",
    "query": "usb\u2028cable",
    "product_id": "p1",
    "product_title": "Kabel",
    "label": 1,
    "product_brand": "acme",
    "product_color": "",
    "product_bullet_points": "",
    "product_description": "long",
}


def written(folder: Path, *lines: dict[str, object]) -> EvaluationSet:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return EvaluationSet(path="rows.jsonl", rows=len(lines), sha256=digest)


def test_pairs_and_labels_are_read_back(tmp_path: Path) -> None:
    rows = read_evaluation_rows(tmp_path, written(tmp_path, LINE, {**LINE, "label": 0}))
    product = Product("p1", "Kabel", brand="acme", description="long")
    assert rows.pairs == [QueryProductPair("us", "usb\u2028cable", product)] * 2
    assert rows.labels.tolist() == [1, 0]


def test_changed_missing_and_outside_rows_are_refused(tmp_path: Path) -> None:
    rows = written(tmp_path / "..", LINE)
    with pytest.raises(VersionCorruptError, match="outside the store"):
        read_evaluation_rows(tmp_path, rows.model_copy(update={"path": "../rows.jsonl"}))
    rows = written(tmp_path, LINE)
    (tmp_path / "rows.jsonl").write_text("{}", encoding="utf-8")
    with pytest.raises(VersionCorruptError, match=r"rows\.jsonl: its content is not what was published"):
        read_evaluation_rows(tmp_path, rows)
    (tmp_path / "rows.jsonl").unlink()
    with pytest.raises(VersionCorruptError, match=r"rows\.jsonl: No such file"):
        read_evaluation_rows(tmp_path, rows)
