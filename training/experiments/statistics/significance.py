"""Is one method's final ROC-AUC better than another's on the same test rows? A paired bootstrap.

It says how far the difference depends on the test rows; how far it depends on seeds is what the t interval over
trials says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.experiments.statistics.bootstrap import Areas, Bootstrap
from training.experiments.statistics.runs import MarketplaceGroup, MethodRuns, RunKey, Sequence_
from training.experiments.statistics.summary import Estimate, estimate, holm

SIGNIFICANCE = 0.05
AVERAGE = "average"
"""Of all marketplaces, as what a comparison is of."""
UNTRAINED = "untrained"
"""The untrained encoder's cosine, as a rival."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A method's final ROC-AUC less a rival's, over the runs that both have.

    Args:
        rival: a label, or `UNTRAINED`.
        of: a marketplace, or `AVERAGE`.
        over_trials: the difference with its t interval over trials.
        low: lower end of the 95 % bootstrap interval; `high` the upper one.
        p_value: two-sided, of the bootstrap.
        adjusted_p_value: for the number of comparisons that it stands among (Holm).
    """

    label: str
    rival: str
    of: str
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


def against_best_rival(
    methods: Sequence[MethodRuns], averages: Mapping[str, float], drawn: Bootstrap
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
            compared += _compared(method, rival, drawn, AVERAGE)
    return {comparison.label: comparison for comparison in adjusted(compared)}


def all_pairs(group: MarketplaceGroup, drawn: Bootstrap) -> list[Comparison]:
    """Every two methods on average, then by marketplace; adjusted for all comparisons of the same."""
    methods = group.methods
    pairs = [(one, other) for place, one in enumerate(methods) for other in methods[place + 1 :]]
    columns = (AVERAGE, *group.marketplaces) if len(group.marketplaces) > 1 else (AVERAGE,)
    return [
        comparison
        for of in columns
        for comparison in adjusted([found for one, other in pairs for found in _compared(one, other, drawn, of)])
    ]


def against_references(group: MarketplaceGroup, drawn: Bootstrap) -> dict[tuple[str, str, str], Comparison]:
    """Every method less the untrained cosine, by marketplace and on average, and less Single Marketplace.

    By label, rival and what it is of; adjusted for all methods against the same rival on the same. Those that the
    results do not have are missing.
    """
    columns = [
        [found for method in group.methods for found in _over_untrained(method, drawn, of)]
        for of in (*group.marketplaces, AVERAGE)
    ]
    single = group.single_marketplace
    if single is not None:
        others = [method for method in group.methods if method.label != single.label]
        columns.append([found for method in others for found in _compared(method, single, drawn, AVERAGE)])
    compared = [found for column in columns for found in adjusted(column)]
    return {(found.label, found.rival, found.of): found for found in compared}


def two_sided(differences: np.ndarray) -> float:
    """P value of "no difference": twice the smaller tail at zero, never below 1 / (replicates + 1)."""
    differences = differences.round(12)  # sums in another order differ in their last bits, which is no difference
    tail = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(differences) + 1))


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same, adjusted for their number."""
    p_values = holm([comparison.p_value for comparison in comparisons])
    return [replace(one, adjusted_p_value=p) for one, p in zip(comparisons, p_values, strict=True)]


def _compared(one: MethodRuns, other: MethodRuns, drawn: Bootstrap, of: str) -> list[Comparison]:
    """One comparison, none where the two have no trial in common."""
    replicates, differences = [], []
    for ours, theirs in _paired(one, other):
        areas = _mean_areas(drawn.final[one.label], ours, of), _mean_areas(drawn.final[other.label], theirs, of)
        replicates.append(areas[0] - areas[1])
        differences.append(_final(one, ours, of) - _final(other, theirs, of))
    return _comparison(one, other.label, of, replicates, differences)


def _over_untrained(method: MethodRuns, drawn: Bootstrap, of: str) -> list[Comparison]:
    """One comparison over the runs whose untrained cosine is kept for all of these marketplaces."""
    final, untrained = drawn.final[method.label], drawn.untrained[method.label]
    replicates, differences = [], []
    for trial in sorted({key.trial for key in method.runs}):
        keys = [key for key in method.runs if key.trial == trial]
        if any(not set(_names(key.sequence, of)) <= set(untrained.get(key, {})) for key in keys):
            continue
        replicates.append(_mean_areas(final, keys, of) - _mean_areas(untrained, keys, of))
        results = [method.runs[key].result for key in keys]
        before = [result.zero_shot[name] for result in results for name in _names(result.sequence, of)]
        differences.append(_final(method, keys, of) - float(np.mean(before)))
    return _comparison(method, UNTRAINED, of, replicates, differences)


def _comparison(
    method: MethodRuns, rival: str, of: str, replicates: list[np.ndarray], differences: list[float]
) -> list[Comparison]:
    over_trials = estimate(differences, method.folds)
    if over_trials is None:
        return []
    mean = np.mean(replicates, 0)
    low, high = np.quantile(mean, [0.025, 0.975])
    p_value = two_sided(mean)
    return [Comparison(method.label, rival, of, over_trials, float(low), float(high), p_value, p_value)]


def _paired(one: MethodRuns, other: MethodRuns) -> Iterator[tuple[list[RunKey], list[RunKey]]]:
    """By trial, the runs that are compared: those of the same sequences where both learn on, else all."""
    for trial in sorted({key.trial for key in one.runs} & {key.trial for key in other.runs}):
        ours = [key for key in one.runs if key.trial == trial]
        theirs = [key for key in other.runs if key.trial == trial]
        if one.is_continual and other.is_continual:
            ours = theirs = [key for key in ours if key in other.runs]
        if ours:
            yield ours, theirs


def _mean_areas(areas: Areas, keys: Sequence[RunKey], of: str) -> np.ndarray:
    """(replicates) mean over runs and marketplaces."""
    mean: np.ndarray = np.mean([areas[key][name] for key in keys for name in _names(key.sequence, of)], 0)
    return mean


def _final(method: MethodRuns, keys: Sequence[RunKey], of: str) -> float:
    results = [method.runs[key].result for key in keys]
    return float(np.mean([result.final[name] for result in results for name in _names(result.sequence, of)]))


def _names(sequence: Sequence_, of: str) -> Sequence_:
    return sequence if of == AVERAGE else (of,)
