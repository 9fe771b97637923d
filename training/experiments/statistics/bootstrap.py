"""Bootstrap over test rows: ROC-AUC of every run, and of the untrained cosine, on the same draws.

What is drawn with replacement are whole queries, since rows of one query are alike; where a result does not tell
which rows are of one query, rows are drawn, within each class.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model_store.errors import InputError
from model_store.metrics import roc_auc
from training.experiments.running.run_result import RESULT, SCORES, FinalScores, read_scores
from training.experiments.statistics.runs import FinishedRun, MarketplaceGroup, RunKey, Trial

REPLICATES = 10_000  # the smallest p value times a hundred comparisons is still below 0.05
_CHUNK_BYTES = 64 * 2**20
_TOLERANCE = 0.002  # scoring the same rows again on a GPU may turn a few ties

Areas = dict[RunKey, dict[str, np.ndarray]]
"""(replicates) ROC-AUC of every run of a method by marketplace."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """ROC-AUC on the same draws of test rows.

    Args:
        final: by label, of every run at the end.
        untrained: by label, of the untrained cosine on the rows of every run, where its results have it.
        drawn: what was drawn: "queries", "rows", or both where some results do not tell queries.
    """

    final: dict[str, Areas]
    untrained: dict[str, Areas]
    drawn: set[str] = field(default_factory=set)

    @property
    def unit(self) -> str:
        """What was drawn, for the reader."""
        return " or ".join(sorted(self.drawn))


@dataclass(frozen=True, slots=True)
class _Run:
    label: str
    run: FinishedRun
    scores: Mapping[str, FinalScores]


def bootstrap(
    group: MarketplaceGroup, replicates: int = REPLICATES, on_block: Callable[[int, int], None] | None = None
) -> Bootstrap:
    """Draw the test rows of every trial and marketplace, once for all methods.

    Args:
        on_block: called with done and total; a block is the test rows of one trial and marketplace.

    Raises:
        InputError: scores are missing, are not of the result beside them, or are of other rows than the rest.
    """
    trials = sorted({key.trial for method in group.methods for key in method.runs})
    labels = [method.label for method in group.methods]
    found = Bootstrap({label: {} for label in labels}, {label: {} for label in labels})
    total = len(trials) * len(group.marketplaces)
    for trial_number, trial in enumerate(trials):
        runs = [
            _Run(method.label, run, _checked_scores(run))
            for method in group.methods
            for key, run in method.runs.items()
            if key.trial == trial
        ]
        for number, marketplace in enumerate(group.marketplaces):
            _block(runs, marketplace, trial, replicates, found)
            if on_block:
                on_block(trial_number * len(group.marketplaces) + number + 1, total)
    return found


def replicate_areas(
    positive: np.ndarray, negative: np.ndarray, positive_counts: np.ndarray, negative_counts: np.ndarray
) -> np.ndarray:
    """(R) ROC-AUC of R draws of the same scores, of which every one has some of both classes.

    Args:
        positive: (P) scores of relevant pairs; negative: (N) of the others.
        positive_counts: (R, P) how often each was drawn; negative_counts: (R, N) likewise.
    """
    order = np.argsort(negative, kind="stable")
    ordered = negative[order]
    drawn = np.zeros((len(negative_counts), len(negative) + 1))
    np.cumsum(negative_counts[:, order], axis=1, out=drawn[:, 1:])
    below = drawn[:, np.searchsorted(ordered, positive, "left")]
    below += drawn[:, np.searchsorted(ordered, positive, "right")]
    pairs = 2.0 * positive_counts.sum(1) * negative_counts.sum(1)
    areas: np.ndarray = np.einsum("rp,rp->r", positive_counts, below) / pairs
    return areas


def _block(runs: Sequence[_Run], marketplace: str, trial: Trial, replicates: int, found: Bootstrap) -> None:
    labels = _common_labels(runs, marketplace)
    queries = next((q for one in runs if (q := one.scores[marketplace].queries) is not None), None)
    found.drawn.add("rows" if queries is None else "queries")
    cosines = _untrained(runs, marketplace)
    scores = [*(one.scores[marketplace].logits for one in runs), *cosines.values()]
    draws = _draws(labels == 1, queries, f"{marketplace} {trial.seed} {trial.fold}", replicates)
    areas = _areas(scores, labels == 1, draws)
    untrained = dict(zip(cosines, areas[len(runs) :], strict=True))
    for one, area in zip(runs, areas[: len(runs)], strict=True):
        key, auc = one.run.key, one.run.result.zero_shot.get(marketplace)
        found.final[one.label].setdefault(key, {})[marketplace] = area
        if auc in untrained:
            found.untrained[one.label].setdefault(key, {})[marketplace] = untrained[auc]


def _areas(scores: Sequence[np.ndarray], relevant: np.ndarray, draws: Iterator[np.ndarray]) -> list[np.ndarray]:
    """(replicates) ROC-AUC of each of the scores on the same draws."""
    parts: list[list[np.ndarray]] = [[] for _ in scores]
    for drawn in draws:
        positive, negative = drawn[:, relevant], drawn[:, ~relevant]
        for own, values in zip(parts, scores, strict=True):
            own.append(replicate_areas(values[relevant], values[~relevant], positive, negative))
    return [np.concatenate(own) for own in parts]


def _common_labels(runs: Sequence[_Run], marketplace: str) -> np.ndarray:
    labels = runs[0].scores[marketplace].labels
    for one in runs:
        if not np.array_equal(one.scores[marketplace].labels, labels):
            raise InputError(
                f"{one.run.folder / SCORES} and {runs[0].run.folder / SCORES}: other test rows of "
                f"{marketplace!r} under one seed and fold; they cannot be compared"
            )
    return labels


def _untrained(runs: Sequence[_Run], marketplace: str) -> dict[float, np.ndarray]:
    """Cosines of a marketplace's rows by their ROC-AUC, which tells runs of other encoders apart."""
    cosines: dict[float, np.ndarray] = {}
    for one in runs:
        cosine, auc = one.scores[marketplace].untrained, one.run.result.zero_shot.get(marketplace)
        if cosine is not None and auc is not None:
            cosines.setdefault(auc, cosine)
    return cosines


def _draws(relevant: np.ndarray, queries: np.ndarray | None, name: str, replicates: int) -> Iterator[np.ndarray]:
    """(some replicates, rows) how often each row was drawn, as many replicates at a time as fit in memory."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    at_a_time = max(1, _CHUNK_BYTES // (8 * len(relevant)))
    query = None if queries is None else np.unique(queries, return_inverse=True)[1]
    left = replicates
    while left:
        number = min(at_a_time, left)
        if query is None:
            counts = np.zeros((number, len(relevant)), dtype=np.int64)
            counts[:, relevant] = _counts(generator, number, int(relevant.sum()))
            counts[:, ~relevant] = _counts(generator, number, int((~relevant).sum()))
        else:
            counts = _counts(generator, number, int(query.max()) + 1)[:, query]
            # A draw of few queries may have one class alone, and no ROC-AUC: another one takes its place.
            counts = counts[counts[:, relevant].any(1) & counts[:, ~relevant].any(1)]
        left -= len(counts)
        yield counts


def _counts(generator: np.random.Generator, rows: int, size: int) -> np.ndarray:
    """(rows, size) how often each of `size` things is among `size` draws with replacement."""
    drawn = generator.integers(0, size, (rows, size)) + np.arange(rows)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)


def _checked_scores(run: FinishedRun) -> dict[str, FinalScores]:
    """A run's scores, which must give the ROC-AUC of the result beside them."""
    scores, path = read_scores(run.folder), run.folder / SCORES
    for name in run.result.sequence:
        if name not in scores or not np.isfinite(scores[name].logits).all():
            raise InputError(f"no scores of {name!r}, or some that are no numbers", source=str(path))
        _check_area("ROC-AUC", name, scores[name].labels, scores[name].logits, run.result.final[name], path)
        cosine = scores[name].untrained
        if cosine is not None and name in run.result.zero_shot:
            expected = run.result.zero_shot[name]
            _check_area("an untrained ROC-AUC", name, scores[name].labels, cosine, expected, path)
    return scores


def _check_area(
    what: str, marketplace: str, labels: np.ndarray, scores: np.ndarray, expected: float, path: Path
) -> None:
    area = roc_auc(labels, scores)
    if abs(area - expected) > _TOLERANCE:
        raise InputError(
            f"gives {what} {area:.6f} on {marketplace!r}, {RESULT} says {expected:.6f}: they are not of one run; "
            "remove the folder and do the run again",
            source=str(path),
        )
