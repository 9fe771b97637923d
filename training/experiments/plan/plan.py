"""A plan: which methods learn which sequences of marketplaces, on what data, with which seeds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from model_store.errors import ConfigurationError, InputError
from model_store.files import is_file, write_text_atomically
from model_store.text import checked_marketplace
from training.configuration import Overrides, read_yaml_fields

PLANS = Path(__file__).parents[1] / "plans"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LABEL = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")


class PlannedMethod(BaseModel):
    """One row of the plan's tables.

    Args:
        method: name of the method.
        label: tells rows of one method with different settings apart; the method's name by default.
        title: as tables show it; the method's own title by default.
        preset: takes the place of the plan's.
        settings: fields of the training configuration, over the plan's settings.
        only_first_sequence: leave the plan's other sequences out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    label: str = ""
    title: str | None = None
    preset: str | None = None
    settings: Overrides = Field(default_factory=dict)
    only_first_sequence: bool = False

    @model_validator(mode="after")
    def _label_by_default(self) -> PlannedMethod:
        label = self.label or self.method
        if not _LABEL.fullmatch(label):
            raise ValueError(f"label {label!r}: use 1 to 64 of a-z, 0-9 and '_'")
        object.__setattr__(self, "label", label)
        return self


class ExperimentPlan(BaseModel):
    """What `python -m training experiment` runs.

    Args:
        data: a data source, as everywhere.
        preset: the configuration that all methods begin with; `settings` are put over it.
        sequences: marketplaces in the order of learning.
        seeds: of generated data, splits, weights and batches.
        folds: cross-validation by query: every query is in the test part of exactly one fold; without it one
            share of the queries is the test part.
        run_folds: numbers of the folds to run, from 0; all by default.
        publish: labels whose runs end with a model version in the run's folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    data: str
    preset: str = "small"
    settings: Overrides = Field(default_factory=dict)
    sequences: tuple[tuple[str, ...], ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    folds: int | None = Field(default=None, ge=2, le=20)
    run_folds: tuple[int, ...] | None = Field(default=None, min_length=1)
    methods: tuple[PlannedMethod, ...] = Field(min_length=1)
    publish: tuple[str, ...] = ()

    @field_validator("methods", mode="before")
    @classmethod
    def _names_alone(cls, value: object) -> object:
        if not isinstance(value, (list, tuple)):
            return value
        return [{"method": entry} if isinstance(entry, str) else entry for entry in value]

    @field_validator("name")
    @classmethod
    def _safe_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("use 1 to 64 of a-z, 0-9, '_' and '-'")
        return value

    @field_validator("sequences")
    @classmethod
    def _safe_sequences(cls, value: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        value = tuple(tuple(map(_checked_marketplace, sequence)) for sequence in value)
        for sequence in value:
            if len(sequence) < 1 or len(set(sequence)) != len(sequence):
                raise ValueError(f"[{', '.join(sequence)}]: name one marketplace or more, each once")
        _check_distinct(value, "sequence")
        return value

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        _check_distinct(value, "seed")
        return value

    @model_validator(mode="after")
    def _labels(self) -> ExperimentPlan:
        labels = [method.label for method in self.methods]
        _check_distinct(labels, "label")
        for label in self.publish:
            if label not in labels:
                raise ValueError(f"publish: {label!r} is no label of this plan ({', '.join(labels)})")
        return self

    @model_validator(mode="after")
    def _folds_to_run(self) -> ExperimentPlan:
        if self.run_folds is None:
            return self
        if self.folds is None:
            raise ValueError("run_folds: the plan has no folds")
        _check_distinct(self.run_folds, "run_folds: fold")
        for fold in self.run_folds:
            if not 0 <= fold < self.folds:
                raise ValueError(f"run_folds: no fold {fold}; there are 0 to {self.folds - 1}")
        return self

    @property
    def fold_numbers(self) -> list[int | None]:
        """Folds to run; without cross-validation one that has no number."""
        if self.folds is None:
            return [None]
        return list(range(self.folds) if self.run_folds is None else self.run_folds)

    def with_trials(self, seeds: Sequence[int] | None, run_folds: Sequence[int] | None) -> ExperimentPlan:
        """The plan with other seeds, and other ones of its folds to run; None leaves them as they are.

        Raises:
            ConfigurationError: a seed or fold is there twice, or the plan has no such fold.
        """
        trials = {"seeds": seeds, "run_folds": run_folds}
        changed = {field: value for field, value in trials.items() if value is not None}
        return _validated({**self.model_dump(mode="json"), **changed}, self.name)

    def with_trials_of(self, others: Iterable[ExperimentPlan]) -> ExperimentPlan:
        """The plan with the seeds and the folds to run of the others as well, in ascending order."""
        plans = [self, *others]
        seeds = sorted({seed for plan in plans for seed in plan.seeds})
        folds = sorted({fold for plan in plans for fold in plan.fold_numbers if fold is not None})
        return self.with_trials(seeds, folds or None)

    @property
    def but_trials(self) -> dict[str, object]:
        """Everything except for seeds and folds to run, as JSON has it."""
        return self.model_dump(mode="json", exclude={"seeds", "run_folds"})

    @property
    def marketplaces(self) -> list[str]:
        """All marketplaces of all sequences, sorted."""
        return sorted({name for sequence in self.sequences for name in sequence})

    def write(self, path: Path) -> None:
        """Write the plan as YAML that `load_plan` reads."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        write_text_atomically(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def load_plan(name_or_path: str) -> ExperimentPlan:
    """Read a plan that ships by its name, or a YAML file by its path.

    Raises:
        ConfigurationError: no such plan or file, or a field that is wrong or unknown, named.
    """
    if _NAME.fullmatch(name_or_path):
        plans = _shipped()
        if name_or_path not in plans:
            raise ConfigurationError(f"{name_or_path!r} is neither a plan ({', '.join(plans)}) nor a file")
        return _validated(plans[name_or_path], name_or_path)
    path = Path(name_or_path)
    if not is_file(path):
        raise ConfigurationError(f"{name_or_path!r} is neither a plan ({', '.join(_shipped())}) nor a file")
    fields = read_yaml_fields(path)
    if not fields:
        raise ConfigurationError(f"{path.name}: holds no fields")
    return _validated(fields, path.name)


def shipped_plans() -> list[str]:
    """Names of the plans that ship."""
    return sorted(_shipped())


def _shipped() -> dict[str, dict[str, object]]:
    """The fields of the plans that ship, by name: a file holds a plan in its size for a CPU, and for a GPU."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(PLANS.glob("*.yaml")))
    return {str(content["name"]): content for text in texts for content in yaml.safe_load_all(text)}


def _validated(content: dict[str, object], name: str) -> ExperimentPlan:
    try:
        return ExperimentPlan.model_validate(content)
    except ValidationError as error:
        problems = [_described(problem["loc"], problem["msg"]) for problem in error.errors(include_url=False)]
        raise ConfigurationError(f"{name}: {'; '.join(problems)}") from error


def _described(place: tuple[int | str, ...], message: str) -> str:
    field = ".".join(str(part) for part in place)
    problem = message.removeprefix("Value error, ")
    return f"{field}: {problem}" if field else problem


def _checked_marketplace(name: str) -> str:
    try:
        return checked_marketplace(name)
    except InputError as error:
        raise ValueError(error.problem) from error


def _check_distinct(values: tuple[object, ...] | list[str], what: str) -> None:
    for place, value in enumerate(values):
        if value in values[:place]:
            summary = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            raise ValueError(f"{what} {summary} is there twice")
