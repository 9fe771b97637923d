"""What a run is called, where it lies, what it leaves there: configuration, splits, artefacts of every step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_store.errors import ConfigurationError
from model_store.files import read_json, write_json
from model_store.settings import ModelStoreSettings
from model_store.text import checked_marketplace
from training.configuration import TrainingConfiguration
from training.data.pairs import RelevancePair
from training.data.splits import Splits, read_pairs, write_pairs

_EVALUATION_SETS = ("validation", "test")

_LONGEST_SEQUENCE = 150
"""Characters of a run's name that say what it learns; the digest says the rest."""


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Paths of one run under the model store's `runs/`."""

    folder: Path

    def begin(self, configuration: TrainingConfiguration, facts: Mapping[str, object]) -> None:
        """Write the run's configuration, or check that the run to go on with has the same.

        Raises:
            ConfigurationError: the folder belongs to a run with another configuration.
        """
        content = {**facts, "configuration": configuration.model_dump(mode="json")}
        path = self.folder / "configuration.json"
        known = read_json(path)
        if known is not None and known != json.loads(json.dumps(content)):
            raise ConfigurationError(
                f"{path}: this run was begun with another configuration; choose another --run name"
            )
        write_json(path, content)

    @property
    def steps(self) -> Path:
        """The folder of all steps' artefacts."""
        return self.folder / "steps"

    def step_folder(self, step: int, marketplace: str) -> Path:
        """Folder of one step's."""
        return self.steps / f"{step:04d}-{marketplace}"

    def keep_splits(self, marketplace: str, splits: Splits) -> None:
        """Store a marketplace's splits with the run that made them."""
        write_pairs(self.folder / "training" / f"{marketplace}.jsonl", splits.train)
        for name, pairs in zip(_EVALUATION_SETS, (splits.validation, splits.test), strict=True):
            write_pairs(self.evaluation_path(marketplace, name), pairs)

    def keep_evaluation(self, marketplace: str, sets: Mapping[str, Sequence[RelevancePair]]) -> None:
        """Store only validation and test rows: of an older marketplace, whose training rows are not read."""
        for name, pairs in sets.items():
            write_pairs(self.evaluation_path(marketplace, name), pairs)

    def evaluation_path(self, marketplace: str, name: str) -> Path:
        """File of a marketplace's validation or test rows."""
        return self.folder / "evaluation" / marketplace / f"{name}.jsonl"

    def evaluation_rows(self, marketplace: str) -> dict[str, tuple[RelevancePair, ...]]:
        """Validation and test rows of a marketplace."""
        return {name: tuple(read_pairs(self.evaluation_path(marketplace, name))) for name in _EVALUATION_SETS}


def marketplace_name(text: str) -> str:
    """A marketplace given on the command line, in small letters as tables have it.

    Raises:
        InputError: it is no name of one.
    """
    return checked_marketplace(text.strip().lower())


def sequence_of(text: str) -> list[str]:
    """Marketplaces in the order of learning, from `us, es,jp`.

    Raises:
        InputError: one of them is no name of a marketplace.
    """
    return [marketplace_name(part) for part in text.split(",")]


def store_folder(store: Path | None) -> Path:
    """The store named on the command line, or the setting MODEL_STORE."""
    return store if store is not None else ModelStoreSettings().model_store


def run_name(configuration: TrainingConfiguration, facts: Mapping[str, object]) -> str:
    """A name by content: the same command goes on with the same run."""
    content = json.dumps({**facts, "configuration": configuration.model_dump(mode="json")}, sort_keys=True)
    names = facts["sequence"]
    assert isinstance(names, list)
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    sequence = "-".join(checked_marketplace(name) for name in names)
    return f"{sequence[:_LONGEST_SEQUENCE]}-{digest}"
