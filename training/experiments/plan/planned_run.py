"""The runs of a plan: one method with its settings, one sequence, one seed, one fold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from model_store.errors import ConfigurationError, RelevanceError
from training.configuration import Overrides, TrainingConfiguration, load_configuration, merged
from training.experiments.plan.plan import ExperimentPlan, PlannedMethod
from training.methods.base import Method
from training.methods.registry import METHODS
from training.runs.driver import check_translators

_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


class PlannedRun(BaseModel):
    """Everything that decides what one run does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: str
    method: str
    label: str
    title: str
    data: str
    marketplaces: tuple[str, ...]
    sequence: tuple[str, ...]
    seed: int
    fold: int | None
    folds: int | None
    publishes: bool
    configuration: TrainingConfiguration

    @property
    def name(self) -> str:
        """The run's folder: unique in its plan, and the same whenever the plan is run."""
        fold = "" if self.fold is None else f".fold{self.fold}"
        return f"{self.label}.{'+'.join(self.sequence)}.seed{self.seed}{fold}"

    def decisive(self) -> dict[str, object]:
        """What decides the result, as JSON has it: names and titles do not, nor what other methods set."""
        fields = self.model_dump(mode="json", exclude={"plan", "title", "marketplaces", "publishes"})
        return {**fields, "configuration": decisive_configuration(self.method, fields["configuration"])}


def planned_runs(plan: ExperimentPlan) -> list[PlannedRun]:
    """All runs of a plan, seed by seed, so that whatever is finished compares all methods.

    A method that does not learn on gives the same models whatever the order: it runs for the first sequence of
    every set of marketplaces.

    Raises:
        ConfigurationError: an unknown method, or settings that are wrong or that contradict each other; names
            the label and the field.
    """
    sequences = {method.label: sequences_of(plan, method) for method in plan.methods}
    configurations = {method.label: _configuration(plan, method) for method in plan.methods}
    return [
        _run(plan, method, sequence, seed, fold, configurations[method.label])
        for seed in plan.seeds
        for fold in plan.fold_numbers
        for method in plan.methods
        for sequence in sequences[method.label]
    ]


def check_translation(runs: Iterable[PlannedRun]) -> None:
    """Check the translators of all runs, whose tables are read for it, once for all runs that translate alike.

    Raises:
        ConfigurationError: a marketplace is learnt twice, or a translator does not fit.
        TranslationError: a language pair has no translator; names the label.
    """
    checked: set[str] = set()
    for run in runs:
        configuration = run.configuration
        wanted = f"{configuration.translation} {configuration.languages} {run.sequence}"
        if wanted in checked:
            continue
        try:
            check_translators(configuration, [], run.sequence)
        except RelevanceError as error:
            raise type(error)(f"methods: {run.label}: {error}") from error
        checked.add(wanted)


def sequences_of(plan: ExperimentPlan, method: PlannedMethod) -> list[tuple[str, ...]]:
    """The sequences that a method of the plan runs for.

    A method that does not learn on gives the same models whatever the order: it has the first of every set.

    Raises:
        ConfigurationError: no such method.
    """
    sequences = list(plan.sequences[:1] if method.only_first_sequence else plan.sequences)
    if method_named(method.method, method.label).is_continual:
        return sequences
    first_of_set: dict[frozenset[str], tuple[str, ...]] = {}
    for sequence in sequences:
        first_of_set.setdefault(frozenset(sequence), sequence)
    return list(first_of_set.values())


def shard_of(runs: Sequence[PlannedRun], shard: str | None) -> list[PlannedRun]:
    """The i-th of n parts of the runs, from `i/n`; every run is in exactly one part.

    Raises:
        ConfigurationError: no such text, or i is not between 1 and n.
    """
    if shard is None:
        return list(runs)
    match = _SHARD.fullmatch(shard)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise ConfigurationError(f"--shard {shard!r}: write it as i/n with i from 1 to n, as 2/4")
    return list(runs[part - 1 :: parts])


def method_named(name: str, label: str) -> type[Method]:
    """The method class.

    Raises:
        ConfigurationError: no such method; lists those there are.
    """
    if name not in METHODS:
        raise ConfigurationError(f"methods: {label}: {name!r} is no method ({', '.join(METHODS)})")
    return METHODS[name]


def _configuration(plan: ExperimentPlan, method: PlannedMethod) -> TrainingConfiguration:
    settings: Overrides = merged(plan.settings, method.settings)
    if "seed" in settings:
        raise ConfigurationError(f"{plan.name}: methods: {method.label}: settings.seed: name it under seeds")
    if not method_named(method.method, method.label).uses_translation:
        settings = merged(settings, {"translation": "none"})
    try:
        return load_configuration(method.preset or plan.preset, settings)
    except ConfigurationError as error:
        raise ConfigurationError(f"{plan.name}: methods: {method.label}: {error}") from error


def _run(
    plan: ExperimentPlan,
    method: PlannedMethod,
    sequence: tuple[str, ...],
    seed: int,
    fold: int | None,
    configuration: TrainingConfiguration,
) -> PlannedRun:
    return PlannedRun(
        plan=plan.name,
        method=method.method,
        label=method.label,
        title=method.title or METHODS[method.method].title,
        data=plan.data,
        marketplaces=tuple(plan.marketplaces),
        sequence=sequence,
        seed=seed,
        fold=fold,
        folds=plan.folds,
        publishes=method.label in plan.publish,
        configuration=configuration.model_copy(update={"seed": seed}),
    )


def decisive_configuration(method: str, configuration: Mapping[str, object]) -> dict[str, object]:
    """A configuration without what the method does not read: other methods' own sections among it.

    A run of before a field was added had its default: a new field's default is what there was without it.
    """
    unread = (METHODS.keys() - {method}) | METHODS[method].unread_settings
    whole = TrainingConfiguration().model_dump(mode="json") | dict(configuration)
    return {key: value for key, value in whole.items() if key not in unread}


def first_difference(mine: object, others: object, place: str = "") -> str | None:
    """The first field, dotted, in which two nested dictionaries differ, with both values; None if none does."""
    if isinstance(mine, dict) and isinstance(others, dict):
        for key in [*mine, *(key for key in others if key not in mine)]:
            inner = f"{place}.{key}" if place else str(key)
            found = first_difference(mine.get(key), others.get(key), inner)
            if found:
                return found
        return None
    return None if mine == others else f"{place} was {others!r} and is now {mine!r}"
