"""Where a command's model store lies, and what a run is called that was given no name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from model_store.settings import ModelStoreSettings
from model_store.text import checked_marketplace
from training.configuration import TrainingConfiguration

_LONGEST_SEQUENCE = 150
"""Characters of a run's name that say what it learns; the digest says the rest."""


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
