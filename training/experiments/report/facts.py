"""What a report's numbers come from, and what a reader must know before trusting them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from training.experiments.plan.planned_run import decisive_configuration, first_difference
from training.experiments.running.run_result import RunResult
from training.experiments.statistics.runs import ReportRuns

_DIRTY = "-dirty"


def facts(runs: ReportRuns) -> dict[str, str]:
    """Data, trials, hardware, commit and versions in words, by title."""
    results = [run.result for run in runs.runs]
    return {
        "Plan": runs.name,
        "Runs": f"{len(results)} finished"
        + (f", {len(runs.missing)} missing" if runs.plan else "; there is no plan.yaml to tell what is missing"),
        "Data": _described(result.data for result in results),
        "Encoder": _described(str(result.configuration.get("base_encoder", "unknown")) for result in results),
        "Test rows": _test_rows(results),
        "Sequences": "; ".join(dict.fromkeys(" → ".join(result.sequence) for result in results)),
        "Seeds": ", ".join(map(str, sorted({result.seed for result in results}))),
        "Folds": ", ".join(sorted({_folds(result) for result in results})),
        "Hardware": _described(result.hardware for result in results),
        "Commit": _described(result.commit for result in results),
        "Versions": _described(_versions(result) for result in results),
        "Run on": _days(results),
    }


def warnings(runs: ReportRuns) -> list[str]:
    """What makes numbers incomplete or not comparable; empty where there is nothing."""
    results = [run.result for run in runs.runs]
    return [
        *_missing(runs),
        *_mixed("hardware", "times are not comparable between them", (result.hardware for result in results)),
        *_mixed("commits", "methods may have changed between them", (result.commit for result in results)),
        *_mixed("library versions", "", (_versions(result) for result in results)),
        *_mixed("data", "only rows of the same data are comparable", (result.data for result in results)),
        *_dirty(results),
        *_configurations(results),
        *_single_trials(runs),
    ]


def _missing(runs: ReportRuns) -> Iterator[str]:
    if runs.missing:
        planned = len(runs.runs) + len(runs.missing)
        yield f"{len(runs.missing)} of {planned} planned runs are missing: {', '.join(runs.missing)}."
    if runs.unplanned:
        yield f"Left out, as the plan does not name them: {', '.join(runs.unplanned)}."


def _mixed(what: str, consequence: str, values: Iterable[str]) -> Iterator[str]:
    counted = Counter(values)
    if len(counted) > 1:
        yield f"Mixed {what}{': ' + consequence if consequence else ''} ({_described(counted.elements())})."


def _dirty(results: Iterable[RunResult]) -> Iterator[str]:
    number = sum(result.commit.endswith(_DIRTY) for result in results)
    if number:
        yield f"{number} runs were made with code that differs from the commit named ({_DIRTY})."


def _configurations(results: Iterable[RunResult]) -> Iterator[str]:
    """Rows whose runs differ in more than the seed."""
    first: dict[str, RunResult] = {}
    summary: set[str] = set()
    for result in results:
        known = first.setdefault(result.label, result)
        difference = first_difference(_but_seed(result), _but_seed(known))
        if difference and result.label not in summary:
            summary.add(result.label)
            yield f"Runs of {result.label} differ in their configuration: {difference}."


def _single_trials(runs: ReportRuns) -> Iterator[str]:
    for group in runs.groups:
        single = [method.label for method in group.methods if len({key.trial for key in method.runs}) == 1]
        if single:
            yield f"{', '.join(group.marketplaces)}: n = 1, hence no interval, for {', '.join(single)}."


def _but_seed(result: RunResult) -> dict[str, object]:
    """What decided the result, but the seed."""
    decisive = decisive_configuration(result.method, result.configuration)
    return {key: value for key, value in decisive.items() if key != "seed"}


def _described(values: Iterable[str]) -> str:
    """Each value once; with how many runs it is of where there are several."""
    counted = Counter(values)
    if len(counted) == 1:
        return next(iter(counted))
    return "; ".join(f"{value} ({number} runs)" for value, number in counted.items())


def _test_rows(results: Iterable[RunResult]) -> str:
    by_marketplace: dict[str, set[int]] = {}
    for result in results:
        for name, rows in result.test_rows.items():
            by_marketplace.setdefault(name, set()).add(rows)
    return ", ".join(
        f"{name} {min(rows)}" + (f" to {max(rows)}" if len(rows) > 1 else "")
        for name, rows in by_marketplace.items()
    )


def _folds(result: RunResult) -> str:
    return "none" if result.folds is None else f"{result.folds}-fold cross-validation by query"


def _versions(result: RunResult) -> str:
    return ", ".join(f"{name} {version}" for name, version in result.versions.items())


def _days(results: Iterable[RunResult]) -> str:
    days = sorted({result.started_at.date().isoformat() for result in results})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
