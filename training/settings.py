"""The training side's settings: the one place in this package that reads the environment."""

from __future__ import annotations

import os
from pathlib import Path

from model_store.errors import ConfigurationError
from model_store.settings import EnvironmentSettings

DATA_FOLDER = "$RELEVANCE_DATA"
"""How texts that are kept with results name the folder for data, so that they are the same on every machine."""

IS_FIRST_PROCESS = (os.environ.get("RANK") or "0") == "0"
"""The first process prints; `RANK` is what torchrun and `accelerate launch` set before processes meet."""


class TrainingSettings(EnvironmentSettings):
    """Where data lie that are not part of the project."""

    relevance_data: Path | None = None


def with_data_folder(text: str) -> str:
    """`text`, a path or what holds one, with the folder that RELEVANCE_DATA names for `$RELEVANCE_DATA`.

    Raises:
        ConfigurationError: the text names the folder, and the variable is not given.
    """
    if DATA_FOLDER not in text:
        return text
    folder = TrainingSettings().relevance_data
    if folder is None:
        raise ConfigurationError(f"{text}: set RELEVANCE_DATA to the folder that has this")
    return text.replace(DATA_FOLDER, str(folder))
