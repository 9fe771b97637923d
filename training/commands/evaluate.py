"""`training evaluate`: quality of a published version per marketplace."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from model_store.errors import InputError
from model_store.network.scoring import untrained_cosine
from model_store.versions.loading import LoadedVersion, load_version, score_pairs
from model_store.versions.manifest import Manifest
from training.console import notes, results
from training.data.pairs import RelevancePair
from training.data.sources import parse_source
from training.evaluation import MarketplaceMetrics, marketplace_metrics
from training.runs.files import RunFiles, store_folder
from training.stages.environment import run_folder_of

_COLUMNS = (
    "marketplace",
    "pairs",
    "relevant",
    "ROC-AUC",
    "95 % interval",
    "untrained cosine",
    "average precision",
)


def evaluate_version(data: str | None, version: str, store: Path | None, as_json: bool) -> None:
    """Score labelled pairs with a version and print the metrics."""
    root = store_folder(store)
    loaded = load_version(root, version)
    rows = test_rows(root, loaded.manifest) if data is None else _rows_of(data, loaded.manifest)
    metrics = {name: metrics_of(loaded, pairs) for name, pairs in rows.items() if pairs}
    if as_json:
        content = {name: found.as_dict() for name, found in metrics.items()}
        results.print_json(json.dumps({"version": loaded.manifest.number, "marketplaces": content}))
        return
    results.print(_table(metrics, f"Version {loaded.manifest.number} on {data or 'its kept test rows'}"))


def test_rows(root: Path, manifest: Manifest) -> Mapping[str, Sequence[RelevancePair]]:
    """The test rows kept with the run that made a version."""
    files = RunFiles(run_folder_of(root, manifest.run))
    return {name: files.evaluation_rows(name)["test"] for name in manifest.names}


def metrics_of(loaded: LoadedVersion, pairs: Sequence[RelevancePair]) -> MarketplaceMetrics:
    """Metrics of a version on labelled pairs of one marketplace."""
    unlabelled = [pair.unlabelled() for pair in pairs]
    untrained = untrained_cosine(loaded.network, loaded.tokenizer, loaded.tokenizer.tokenize(unlabelled))
    return marketplace_metrics(
        np.array([pair.label for pair in pairs]), score_pairs(loaded, unlabelled), untrained
    )


def _rows_of(data: str, manifest: Manifest) -> Mapping[str, Sequence[RelevancePair]]:
    source = parse_source(data)
    available = source.available()
    known = [name for name in manifest.names if name in available]
    if not known:
        raise InputError(
            f"has pairs of {', '.join(available)}; the version knows {', '.join(manifest.names)}", source=data
        )
    left_out = sorted(set(available) - set(known))
    if left_out:
        notes.print(f"left out, since the version does not know them: {', '.join(left_out)}")
    return source.load(known, seed=0)


def _table(metrics: Mapping[str, MarketplaceMetrics], title: str) -> Table:
    table = Table(title=title)
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "marketplace" else "right")
    for name, found in metrics.items():
        table.add_row(
            name,
            str(found.pairs),
            str(found.positives),
            f"{found.roc_auc:.4f}",
            f"{found.roc_auc_low:.4f} - {found.roc_auc_high:.4f}",
            f"{found.untrained_roc_auc:.4f}",
            f"{found.average_precision:.4f}",
        )
    return table
