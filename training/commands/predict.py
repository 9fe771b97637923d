"""`training predict`: a score for every row of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from model_store.errors import ConfigurationError
from model_store.product import QueryProductPair
from model_store.tables.columns import ColumnMapping
from model_store.tables.tsv_writer import TsvWriter
from model_store.versions.loading import load_version, score_pairs
from training.console import ProgressBar, notes
from training.data.table import read_unlabelled
from training.runs.files import store_folder

CHUNK = 4096
COLUMNS = ("row", "marketplace", "query", "product_id", "score")

NumberedPair = tuple[int, QueryProductPair]


def predict_file(
    file: Path, output: Path, marketplace: str | None, mapping: Path | None, version: str, store: Path | None
) -> None:
    """Read pairs in chunks and write `row`, `marketplace`, `query`, `product_id`, `score` as they are scored.

    The output appears under its name when it is whole; after an error nothing of it is left.

    Raises:
        InputError: a row is wrong, or the file is no regular one.
        ConfigurationError: the output cannot be written, or both options are given.
    """
    columns = _mapping(mapping, marketplace)
    loaded = load_version(store_folder(store), version)
    done = 0
    with (
        TsvWriter(output, COLUMNS) as table,
        ProgressBar(notes) as progress,
    ):
        task = progress.add("predict", total=None, unit="pairs")
        for chunk in _chunks(read_unlabelled(file, columns)):
            scores = score_pairs(loaded, [pair for _, pair in chunk])
            for (row, pair), score in zip(chunk, scores, strict=True):
                table.write(str(row), pair.marketplace, pair.query, pair.product.id, f"{score:.6f}")
            done += len(chunk)
            progress.update(task, completed=done)
    notes.print(f"{done:,} pairs scored by version {loaded.manifest.number}: {output}")


def _mapping(path: Path | None, marketplace: str | None) -> ColumnMapping:
    if path is not None and marketplace is not None:
        raise ConfigurationError("give either --marketplace, or a --mapping that names the marketplace's column")
    return ColumnMapping.load(path) if path is not None else ColumnMapping(marketplace=marketplace)


def _chunks(rows: Iterable[NumberedPair]) -> Iterator[list[NumberedPair]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
