"""What one run of an experiment leaves: one method, one sequence of marketplaces, one seed, one fold."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from safetensors.numpy import load_file, save_file

from model_store.errors import InputError
from model_store.files import read_json, reading_back, replaced_path, write_json
from training.runs.steps import StepResult

RESULT = "result.json"
SCORES = "scores.safetensors"


class StepFacts(BaseModel):
    """What the report says of a step of a run, or of the whole of a joint method's training; see `StepResult`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    marketplace: str
    seconds: float
    translation_seconds: float = 0.0
    trainable_parameters: int
    train_rows: int
    translated_rows: dict[str, int] = {}

    @classmethod
    def of(cls, step: StepResult) -> StepFacts:
        """A step without its row of R, which stands in the run's matrix."""
        return cls(
            marketplace=step.marketplace,
            seconds=step.seconds,
            translation_seconds=step.translation_seconds,
            trainable_parameters=sum(step.trainable_parameters.values()),
            train_rows=step.train_rows,
            translated_rows=step.translated_rows,
        )


class RunResult(BaseModel):
    """A finished run.

    `test_matrix[t][i]` is R: ROC-AUC on marketplace i's test rows after step t, for all marketplaces of the
    sequence, learnt or not. A joint method has one row. `zero_shot` is the untrained encoder's cosine on the same
    test rows. `attention[marketplace][layer][adapter]` is the fusion's mean attention on its test rows at the
    end, over the adapters in `adapters`; empty for methods without fusion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: str
    method: str
    label: str
    title: str
    is_continual: bool
    data: str
    sequence: tuple[str, ...]
    seed: int
    fold: int | None = None
    folds: int | None = None
    test_matrix: tuple[dict[str, float], ...]
    zero_shot: dict[str, float]
    test_rows: dict[str, int]
    steps: tuple[StepFacts, ...]
    total_parameters: int
    peak_memory_bytes: int
    adapters: tuple[str, ...] = ()
    attention: dict[str, list[list[float]]] = {}
    version: int | None = None
    configuration: dict[str, object]
    versions: dict[str, str]
    commit: str
    hardware: str
    started_at: datetime
    seconds: float

    @property
    def final(self) -> dict[str, float]:
        """ROC-AUC of every marketplace at the end."""
        return self.test_matrix[-1]


class FinalScores(BaseModel):
    """A marketplace's test rows for paired comparisons, in file order: labels and final logits.

    `queries` numbers the distinct queries, so that rows of one query can be told; `untrained` is the untrained
    encoder's cosine. Results from before these were kept have neither.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    labels: np.ndarray  # (N) float32
    logits: np.ndarray  # (N) float32
    queries: np.ndarray | None = None  # (N) integers
    untrained: np.ndarray | None = None  # (N) float32


def write_result(folder: Path, result: RunResult, scores: dict[str, FinalScores]) -> None:
    """Write a run's scores and then, as the sign that it is finished, its result."""
    tensors = {
        f"{field}/{name}": np.ascontiguousarray(values)
        for name, one in scores.items()
        for field, values in one
        if values is not None
    }
    with replaced_path(folder / SCORES, one_writer=True) as temporary:
        save_file(tensors, temporary)
    write_json(folder / RESULT, result.model_dump(mode="json"))


def read_result(folder: Path) -> RunResult | None:
    """The result in a run's folder; None where the run is not finished."""
    content = read_json(folder / RESULT)
    with reading_back(folder / RESULT):
        return None if content is None else RunResult.model_validate(content)


def read_scores(folder: Path) -> dict[str, FinalScores]:
    """A finished run's scores by marketplace.

    Raises:
        InputError: the file is missing.
    """
    path = folder / SCORES
    if not path.is_file():
        raise InputError(f"{path}: missing; it belongs beside {RESULT}", source=path.name)
    with reading_back(path):
        tensors = load_file(path)
    names = [key.partition("/")[2] for key in tensors if key.startswith("labels/")]
    fields = FinalScores.model_fields
    return {name: FinalScores(**{field: tensors.get(f"{field}/{name}") for field in fields}) for name in names}
