"""The model store's settings: the one place in this package that reads the environment."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ModelStoreSettings(BaseSettings):
    """Where versions and converted encoders lie.

    A field is the variable of its name in capitals, in the environment or in `.env`; an empty one counts as not
    given. `model_store` is the store's folder. `relevance_cache` keeps what is made once on a machine: converted
    base encoders, their digests, measured token budgets. It is not the service's `CACHE_FOLDER`, the data of the
    embedded Valkey.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    model_store: Path = Path("var/model-store")
    relevance_cache: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("continual-relevance"))
    )
