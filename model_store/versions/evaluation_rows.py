"""Validation and test rows that a version's manifest names, read back for checks of a served model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_store.errors import VersionCorruptError
from model_store.product import Product, QueryProductPair
from model_store.versions.manifest import EvaluationSet


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Pairs and their labels: 1 relevant, 0 not."""

    pairs: list[QueryProductPair]
    labels: np.ndarray  # (pairs) int64


def read_evaluation_rows(store_root: Path, rows: EvaluationSet) -> LabelledRows:
    """The rows of one evaluation set.

    Raises:
        VersionCorruptError: the file is missing, outside the store, or not the one that was published.
    """
    path = (store_root / rows.path).resolve()
    if not path.is_relative_to(store_root.resolve()):
        raise VersionCorruptError(f"{rows.path}: lies outside the store")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VersionCorruptError(f"{path}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != rows.sha256:
        raise VersionCorruptError(f"{path}: its content is not what was published")
    # Not splitlines: a text may hold other line separators.
    items = [json.loads(line) for line in content.decode("utf-8").split("\n") if line]
    pairs = [QueryProductPair(item["marketplace"], item["query"], Product.of_flat(item)) for item in items]
    return LabelledRows(pairs, np.array([item["label"] for item in items], dtype=np.int64))
