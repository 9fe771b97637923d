"""Reads and checks the results below a plan's output folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from model_store.errors import InputError
from training.experiments.plan.plan import ExperimentPlan, load_plan
from training.experiments.plan.planned_run import sequences_of
from training.experiments.running.output_folder import PLAN, WORK
from training.experiments.running.run_result import RESULT, RunResult
from training.experiments.statistics.runs import (
    FinishedRun,
    MarketplaceGroup,
    MethodRuns,
    ReportRuns,
    RunKey,
    Sequence_,
    Trial,
    run_name,
)


def read_runs(folder: Path) -> ReportRuns:
    """Read every result below a folder.

    Raises:
        InputError: no result, a broken one, two of one run, or results of several plans; names the files.
        ConfigurationError: the plan in the folder is broken.
    """
    found = [_read(path.parent) for path in sorted(folder.rglob(RESULT)) if not _is_unfinished(path, folder)]
    if not found:
        raise InputError(f"holds no {RESULT}: name the output folder of an experiment", source=str(folder))
    _check_one_plan(found)
    plan = load_plan(str(folder / PLAN)) if (folder / PLAN).is_file() else None
    planned = None if plan is None else _planned(plan)
    runs = [run for run in found if planned is None or run.name in planned]
    if not runs:
        raise InputError(f"none of the {len(found)} results is of its {PLAN}", source=str(folder))
    missing = [] if planned is None else [name for name in planned if name not in {run.name for run in runs}]
    return ReportRuns(
        folder=folder,
        plan=plan,
        runs=tuple(runs),
        missing=tuple(missing),
        unplanned=tuple(run.name for run in found if run not in runs),
        groups=tuple(_groups(runs, plan, set(missing))),
    )


def _is_unfinished(path: Path, folder: Path) -> bool:
    """Whether a file is of the stages of a run that goes on."""
    return WORK in path.relative_to(folder).parent.parts


def _read(folder: Path) -> FinishedRun:
    path = folder / RESULT
    # Read here, as the error names the field: a report is of somebody's folder, perhaps of another commit's runs.
    try:
        result = RunResult.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(_not_a_result(first["msg"]), source=str(path), field=field) from error
    except ValueError as error:  # no JSON, or no text
        raise InputError(_not_a_result(f"no JSON ({error})"), source=str(path)) from error
    _check(result, path)
    return FinishedRun(folder, result)


def _check(result: RunResult, path: Path) -> None:
    if not result.test_matrix or len(result.steps) != len(result.test_matrix):
        summary = f"{len(result.test_matrix)} rows for {len(result.steps)} steps"
        raise InputError(_not_a_result(summary), source=str(path), field="test_matrix")
    for name in result.sequence:
        if not 0 <= result.final.get(name, -1) <= 1:
            problem = _not_a_result(f"no final ROC-AUC of {name!r}")
            raise InputError(problem, source=str(path), field="test_matrix")


def _not_a_result(problem: str) -> str:
    return f"{problem}: no result of a finished run; remove its folder and do the run again"


def _check_one_plan(runs: Sequence[FinishedRun]) -> None:
    by_name: dict[str, FinishedRun] = {}
    for run in runs:
        if run.result.plan != runs[0].result.plan:
            raise InputError(
                f"results of two plans: {runs[0].result.plan} in {runs[0].folder}, {run.result.plan} in "
                f"{run.folder}; name one plan's folder"
            )
        other = by_name.setdefault(run.name, run)
        if other is not run:
            raise InputError(f"two results of the run {run.name}: {other.folder} and {run.folder}; remove one")


def _planned(plan: ExperimentPlan) -> list[str]:
    return [
        run_name(method.label, RunKey(sequence, Trial(seed, -1 if fold is None else fold)))
        for seed in plan.seeds
        for fold in plan.fold_numbers
        for method in plan.methods
        for sequence in sequences_of(plan, method)
    ]


def _groups(
    runs: Sequence[FinishedRun], plan: ExperimentPlan | None, missing: set[str]
) -> Iterable[MarketplaceGroup]:
    """One for every set of marketplaces; rows and sequences in the plan's order."""
    sequences = plan.sequences if plan else sorted({run.result.sequence for run in runs})
    started = sorted(runs, key=lambda run: run.result.started_at)
    labels = [m.label for m in plan.methods] if plan else list(dict.fromkeys(r.result.label for r in started))
    for marketplaces in {frozenset(sequence): None for sequence in sequences}:
        of_set = [run for run in runs if frozenset(run.result.sequence) == marketplaces]
        mine = [sequence for sequence in sequences if frozenset(sequence) == marketplaces]
        ran = [sequence for sequence in mine if any(run.result.sequence == sequence for run in of_set)]
        found = [_method(label, of_set, mine, missing) for label in labels]
        if of_set:
            methods = _distinguished([method for method in found if method])
            yield MarketplaceGroup(mine[0], tuple(ran), tuple(methods))


def _distinguished(methods: Sequence[MethodRuns]) -> list[MethodRuns]:
    """Rows with one title get their label beside it."""
    titles = Counter(method.title for method in methods)
    return [
        replace(method, title=f"{method.title} ({method.label})") if titles[method.title] > 1 else method
        for method in methods
    ]


def _method(
    label: str, runs: Sequence[FinishedRun], sequences: Sequence[Sequence_], missing: set[str]
) -> MethodRuns | None:
    mine = [run for run in runs if run.result.label == label]
    if not mine:
        return None
    first = mine[0].result
    starts = tuple(f"{label}.{'+'.join(sequence)}.seed" for sequence in sequences)
    complete = not any(name.startswith(starts) for name in missing)
    keyed = {run.key: run for run in mine}
    return MethodRuns(label, first.title, first.method, first.is_continual, keyed, complete)
