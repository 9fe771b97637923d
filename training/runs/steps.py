"""One step of a run: what it cost, what was measured after it, and where that is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from model_store.files import read_json, reading_back, write_json


class StepResult(BaseModel):
    """A marketplace, or all of a joint method's, as learnt, with a row of every matrix.

    `seconds` is the step's training time with translation, without evaluation; `translation_seconds` the part of
    it that translated, which is near zero where the translations were kept from an earlier run. The other
    dictionaries are by part of the network, by stage and by marketplace.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    marketplace: str
    seconds: float
    translation_seconds: float = 0.0
    train_rows: int = 0
    translated_rows: dict[str, int] = {}
    trainable_parameters: dict[str, int]
    stage_seconds: dict[str, float] = {}
    stage_steps: dict[str, int] = {}
    best_epoch: dict[str, int] = {}
    validation_auc: dict[str, float] = {}
    test_auc: dict[str, float]


class StepKeeper(Protocol):
    """Where the results of a run's steps go, so that a run that was interrupted finds them."""

    def kept(self, number: int, marketplace: str) -> StepResult | None:
        """What an earlier call, or the main process of this one, kept of a step; None where it did not."""

    def keep(self, number: int, result: StepResult) -> None:
        """Keep the result of the step that the method has just learnt; nothing is kept twice."""


class StepFiles:
    """Keeps a JSON file for each step.

    Args:
        folder: of the files; the same folder again finds them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def kept(self, number: int, marketplace: str) -> StepResult | None:
        """As in `StepKeeper`."""
        content = read_json(self._path(number, marketplace))
        with reading_back(self._path(number, marketplace)):
            return None if content is None else StepResult.model_validate(_flat(content))

    def keep(self, number: int, result: StepResult) -> None:
        """As in `StepKeeper`."""
        write_json(self._path(number, result.marketplace), result.model_dump(mode="json"))

    def _path(self, number: int, marketplace: str) -> Path:
        return self._folder / f"{number:04d}-{marketplace}.json"


def _flat(content: dict[str, object]) -> dict[str, object]:
    """A step in its older form, the facts apart, brought to today's: a run can be resumed after an upgrade."""
    facts = content.get("facts")
    if not isinstance(facts, dict):
        return content
    return {
        **facts,
        "trainable_parameters": {"step": facts["trainable_parameters"]},
        "test_auc": content["test_auc"],
    }
