"""The model store's settings: the one place in this package that reads the environment."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ModelStoreSettings(BaseSettings):
    """Where versions and converted encoders lie.

    `MODEL_STORE` is the store's folder, `RELEVANCE_CACHE` the folder for converted base encoders.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, populate_by_name=True)

    model_store: Path = Field(default=Path("var/model-store"), alias="MODEL_STORE")
    cache_folder: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("continual-relevance")),
        alias="RELEVANCE_CACHE",
    )
