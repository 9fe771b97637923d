"""Paired bootstrap over test rows: is one method's final ROC-AUC better than another's on the same rows?

Rows are drawn with replacement within each class, once for all methods, and the ROC-AUC of every run is taken
again on what was drawn. It says how far the difference depends on the test rows; how far it depends on seeds is
what the t interval over trials says.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model_store.errors import InputError
from training.evaluation import roc_auc
from training.experiments.report_runs import FinishedRun, MarketplaceGroup, MethodRuns, RunKey, Trial
from training.experiments.run_result import RESULT, SCORES, FinalScores, read_scores
from training.experiments.statistics import Estimate, estimate, holm

REPLICATES = 2000
SIGNIFICANCE = 0.05
_CHUNK_BYTES = 64 * 2**20
_TOLERANCE = 0.002  # scoring the same rows again on a GPU may turn a few ties

Replicates = dict[RunKey, np.ndarray]
"""(replicates) mean ROC-AUC over marketplaces of every run of a method."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A method's final average ROC-AUC less a rival's, over the runs that both have.

    Args:
        over_trials: the difference with its t interval over trials.
        low: lower end of the 95 % bootstrap interval over test rows; `high` the upper one.
        p_value: two-sided, of the bootstrap.
        adjusted_p_value: for the number of comparisons that it stands among (Holm).
    """

    label: str
    rival: str
    over_trials: Estimate
    low: float
    high: float
    p_value: float
    adjusted_p_value: float

    @property
    def difference(self) -> float:
        """Mean difference."""
        return self.over_trials.mean

    @property
    def is_significant(self) -> bool:
        """Whether the adjusted p value is below 0.05."""
        return self.adjusted_p_value < SIGNIFICANCE


def bootstrap_averages(
    group: MarketplaceGroup, replicates: int = REPLICATES, on_block: Callable[[int, int], None] | None = None
) -> dict[str, Replicates]:
    """The final average ROC-AUC of every run on the same draws of test rows, by label.

    Args:
        on_block: called with done and total; a block is the test rows of one trial and marketplace.

    Raises:
        InputError: scores are missing, are not of the result beside them, or are of other rows than the rest.
    """
    trials = sorted({key.trial for method in group.methods for key in method.runs})
    sums: dict[str, Replicates] = {method.label: {} for method in group.methods}
    total = len(trials) * len(group.marketplaces)
    for trial_number, trial in enumerate(trials):
        runs = [(m.label, key, run) for m in group.methods for key, run in m.runs.items() if key.trial == trial]
        scores = [_scores(run) for _, _, run in runs]
        for number, marketplace in enumerate(group.marketplaces):
            areas = _block(runs, scores, marketplace, trial, replicates)
            for (label, key, _), area in zip(runs, areas, strict=True):
                sums[label][key] = sums[label].get(key, 0.0) + area / len(group.marketplaces)
            if on_block:
                on_block(trial_number * len(group.marketplaces) + number + 1, total)
    return sums


def against_best_rival(
    methods: Sequence[MethodRuns], averages: Mapping[str, float], replicates: Mapping[str, Replicates]
) -> dict[str, Comparison]:
    """Every method against the best row of another method, or of all other rows where there is one method alone.

    Args:
        averages: final average ROC-AUC by label, which decides who is best.
    """
    compared = []
    for method in methods:
        others = [other for other in methods if other.label != method.label]
        rivals = [other for other in others if other.method != method.method] or others
        for rival in sorted(rivals, key=lambda other: -averages[other.label])[:1]:
            compared += _compared(method, rival, replicates)
    return {comparison.label: comparison for comparison in _adjusted(compared)}


def all_pairs(methods: Sequence[MethodRuns], replicates: Mapping[str, Replicates]) -> list[Comparison]:
    """Every two methods, adjusted for all of these comparisons."""
    pairs = [(one, other) for place, one in enumerate(methods) for other in methods[place + 1 :]]
    return _adjusted([found for one, other in pairs for found in _compared(one, other, replicates)])


def replicate_areas(
    positive: np.ndarray, negative: np.ndarray, positive_counts: np.ndarray, negative_counts: np.ndarray
) -> np.ndarray:
    """(R) ROC-AUC of R draws of the same scores.

    Args:
        positive: (P) scores of relevant pairs; negative: (N) of the others.
        positive_counts: (R, P) how often each was drawn, P in all; negative_counts: (R, N) likewise.
    """
    order = np.argsort(negative, kind="stable")
    ordered = negative[order]
    drawn = np.zeros((len(negative_counts), len(negative) + 1))
    np.cumsum(negative_counts[:, order], axis=1, out=drawn[:, 1:])
    below = drawn[:, np.searchsorted(ordered, positive, "left")]
    below += drawn[:, np.searchsorted(ordered, positive, "right")]
    areas: np.ndarray = np.einsum("rp,rp->r", positive_counts, below) / (2.0 * len(positive) * len(negative))
    return areas


def _block(
    runs: Sequence[tuple[str, RunKey, FinishedRun]],
    scores: Sequence[Mapping[str, FinalScores]],
    marketplace: str,
    trial: Trial,
    replicates: int,
) -> list[np.ndarray]:
    labels = scores[0][marketplace].labels
    for (_, _, run), other in zip(runs, scores, strict=True):
        if not np.array_equal(other[marketplace].labels, labels):
            raise InputError(
                f"{run.folder / SCORES} and {runs[0][2].folder / SCORES}: other test rows of {marketplace!r} "
                "under one seed and fold; they cannot be compared"
            )
    relevant = labels == 1
    areas: list[list[np.ndarray]] = [[] for _ in runs]
    for positive_counts, negative_counts in _draws(relevant, marketplace, trial, replicates):
        for parts, one in zip(areas, scores, strict=True):
            logits = one[marketplace].logits
            parts.append(replicate_areas(logits[relevant], logits[~relevant], positive_counts, negative_counts))
    return [np.concatenate(parts) for parts in areas]


def _draws(
    relevant: np.ndarray, marketplace: str, trial: Trial, replicates: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Counts of what was drawn of each class, as many replicates at a time as fit in memory."""
    generator = np.random.default_rng(zlib.crc32(f"{marketplace} {trial.seed} {trial.fold}".encode()))
    positives, negatives = int(relevant.sum()), int((~relevant).sum())
    at_a_time = max(1, _CHUNK_BYTES // (8 * len(relevant)))
    for start in range(0, replicates, at_a_time):
        rows = min(at_a_time, replicates - start)
        yield _counts(generator, rows, positives), _counts(generator, rows, negatives)


def _counts(generator: np.random.Generator, rows: int, size: int) -> np.ndarray:
    """(rows, size) how often each of `size` things is among `size` draws with replacement."""
    drawn = generator.integers(0, size, (rows, size)) + np.arange(rows)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)


def _scores(run: FinishedRun) -> dict[str, FinalScores]:
    """A run's scores, which must give the ROC-AUC of the result beside them."""
    scores, path = read_scores(run.folder), run.folder / SCORES
    for name in run.result.sequence:
        if name not in scores or not np.isfinite(scores[name].logits).all():
            raise InputError(f"no scores of {name!r}, or some that are no numbers", source=str(path))
        area = roc_auc(scores[name].labels, scores[name].logits)
        if abs(area - run.result.final[name]) > _TOLERANCE:
            raise InputError(
                f"gives ROC-AUC {area:.6f} on {name!r}, {RESULT} says {run.result.final[name]:.6f}: they are not "
                "of one run; remove the folder and do the run again",
                source=str(path),
            )
    return scores


def _compared(one: MethodRuns, other: MethodRuns, replicates: Mapping[str, Replicates]) -> list[Comparison]:
    """One comparison, none where the two have no trial in common."""
    pairs = list(_paired(one, other))
    if not pairs:
        return []
    drawn, differences = [], []
    for ours, theirs in pairs:
        drawn.append(
            np.mean([replicates[one.label][key] for key in ours], 0)
            - np.mean([replicates[other.label][key] for key in theirs], 0)
        )
        differences.append(_average(one, ours) - _average(other, theirs))
    mean = np.mean(drawn, 0)
    over_trials = estimate(differences, one.folds)
    assert over_trials is not None
    low, high = np.quantile(mean, [0.025, 0.975])
    p_value = two_sided(mean)
    return [Comparison(one.label, other.label, over_trials, float(low), float(high), p_value, p_value)]


def two_sided(differences: np.ndarray) -> float:
    """P value of "no difference": twice the smaller tail at zero, never below 1 / (replicates + 1)."""
    differences = differences.round(12)  # sums in another order differ in their last bits, which is no difference
    tail = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(differences) + 1))


def _paired(one: MethodRuns, other: MethodRuns) -> Iterator[tuple[list[RunKey], list[RunKey]]]:
    """By trial, the runs that are compared: those of the same sequences where both learn on, else all."""
    for trial in sorted({key.trial for key in one.runs} & {key.trial for key in other.runs}):
        ours = [key for key in one.runs if key.trial == trial]
        theirs = [key for key in other.runs if key.trial == trial]
        if one.is_continual and other.is_continual:
            ours = theirs = [key for key in ours if key in other.runs]
        if ours:
            yield ours, theirs


def _average(method: MethodRuns, keys: Sequence[RunKey]) -> float:
    results = [method.runs[key].result for key in keys]
    return float(np.mean([result.final[name] for result in results for name in result.sequence]))


def _adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    adjusted = holm([comparison.p_value for comparison in comparisons])
    return [
        Comparison(c.label, c.rival, c.over_trials, c.low, c.high, c.p_value, p)
        for c, p in zip(comparisons, adjusted, strict=True)
    ]
