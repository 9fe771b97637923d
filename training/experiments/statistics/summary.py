"""What one number says of many runs: metrics of R, their means over trials, and t intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import stdtrit

from training.experiments.running.run_result import RunResult

CONFIDENCE = 0.95


def average(result: RunResult) -> float | None:
    """Mean ROC-AUC over the sequence's marketplaces at the end."""
    return mean_of_all(result.final.get(name) for name in result.sequence)


def backward_transfer(result: RunResult) -> float | None:
    """Mean over all marketplaces but the last of R[T, i] - R[i, i] (Lopez-Paz and Ranzato 2017).

    What later steps did to older marketplaces. None where it has no meaning: a method that does not learn on,
    fewer than two steps, columns of R missing.
    """
    if not _learns_on(result):
        return None
    when_learnt = zip(result.test_matrix, result.sequence[:-1], strict=False)
    return mean_of_all(_difference(result.final.get(name), row.get(name)) for row, name in when_learnt)


def forward_transfer(result: RunResult) -> float | None:
    """Mean over all marketplaces but the first of R[i - 1, i] less the untrained encoder's ROC-AUC.

    What the steps before a marketplace's own did for it; None as for `backward_transfer`.
    """
    if not _learns_on(result):
        return None
    before_learnt = zip(result.test_matrix, result.sequence[1:], strict=False)
    return mean_of_all(_difference(row.get(name), result.zero_shot.get(name)) for row, name in before_learnt)


def forgetting(result: RunResult) -> float | None:
    """Mean over all marketplaces but the last of the best earlier R[t, i] less R[T, i] (Chaudhry et al. 2018).

    "Earlier" is every step before the last, so it is negative where the last step is the best one. None as for
    `backward_transfer`.
    """
    if not _learns_on(result):
        return None
    columns = {name: [row.get(name) for row in result.test_matrix[:-1]] for name in result.sequence[:-1]}
    return mean_of_all(
        _difference(max((auc for auc in column if auc is not None), default=None), result.final.get(name))
        for name, column in columns.items()
    )


METRICS = {
    "average": average,
    "backward_transfer": backward_transfer,
    "forward_transfer": forward_transfer,
    "forgetting": forgetting,
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over trials with its 95 % t interval.

    `std` is the sample standard deviation (n - 1). One trial has neither a deviation nor an interval.
    """

    n: int
    mean: float
    std: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float:
        """Of the interval; 0 where there is none."""
        return 0.0 if self.high is None else self.high - self.mean

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON."""
        return asdict(self)


def estimate(values: Sequence[float], folds: int | None = None) -> Estimate | None:
    """Mean, deviation and Student's t interval of values of independent trials; None where there are none.

    Args:
        folds: of cross-validation that the trials are from. The folds' training rows overlap, so the plain
            standard error is too small; it is corrected by Nadeau and Bengio (2003): s^2 (1/n + 1/(folds - 1)).
    """
    if not values:
        return None
    numbers = np.asarray(values, dtype=np.float64)
    n, mean = len(numbers), float(numbers.mean())
    if n == 1:
        return Estimate(1, mean)
    std = float(numbers.std(ddof=1))
    overlap = 0.0 if folds is None else 1.0 / (folds - 1)
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * std * (1 / n + overlap) ** 0.5
    return Estimate(n, mean, std, mean - half, mean + half)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for their number (Holm 1979), in the order given."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def mean_of_all(values: Iterable[float | None]) -> float | None:
    """The mean; None where any value is missing, as the mean of the others would be another number."""
    known = list(values)
    numbers = [value for value in known if value is not None]
    return float(np.mean(numbers)) if numbers and len(numbers) == len(known) else None


def _learns_on(result: RunResult) -> bool:
    return result.is_continual and 2 <= len(result.sequence) == len(result.test_matrix)


def _difference(minuend: float | None, subtrahend: float | None) -> float | None:
    return None if minuend is None or subtrahend is None else minuend - subtrahend
