"""The service's settings: the one place in this package that reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from model_store.errors import ConfigurationError
from model_store.text import MAX_TEXT_CHARACTERS
from service.engine.engine_choice import BackendSetting, EngineOptions, PrecisionSetting


class ServiceSettings(BaseSettings):
    """Read once at the edge, from the environment and `.env`: a field is the variable of its name in capitals.

    `model_version` is a number or `latest`. Without `redis_url` an embedded Valkey keeps its data in
    `cache_folder`. `device` is `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`.
    Without `token_budget` it is measured.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    log_level: Literal["critical", "error", "warning", "info", "debug"] = "info"

    model_store: Path = Path("var/model-store")
    model_version: Annotated[str, StringConstraints(pattern=r"^(latest|[0-9]+)$")] = "latest"
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    backend: BackendSetting = "auto"
    precision: PrecisionSetting = "auto"
    token_budget: int | None = Field(default=None, ge=64)
    encoded_text_bytes: int = Field(default=256 * 1024 * 1024, ge=0)

    redis_url: str | None = None
    redis_cluster: bool = False
    redis_timeout_seconds: float = Field(default=2.0, gt=0)
    cache_folder: Path = Path("var/cache")
    cache_products_per_query: int = Field(default=128, ge=1, le=10_000)

    max_pairs: int = Field(default=10_000, ge=1)
    max_explained_pairs: int = Field(default=100, ge=1)
    max_waiting_pairs: int = Field(default=50_000, ge=1)
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    max_text_characters: int = Field(default=20_000, ge=1, le=MAX_TEXT_CHARACTERS)

    fill_folder: Path = Path("var/fills")
    fill_chunk_pairs: int = Field(default=1024, ge=1)
    fill_bad_row_share: float = Field(default=0.05, ge=0, le=1)

    @property
    def engine(self) -> EngineOptions:
        """What the settings say of the engine."""
        return EngineOptions(
            self.device, self.backend, self.precision, self.token_budget, self.encoded_text_bytes
        )


def load_settings(**overrides: object) -> ServiceSettings:
    """Settings from the environment and `.env`; an override that is None counts as not given.

    Raises:
        ConfigurationError: names the first variable that is wrong.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return ServiceSettings(**given)  # type: ignore[arg-type] # pydantic checks them
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"])).upper()
        raise ConfigurationError(f"setting {name}: {first['msg']}; correct the environment or .env") from error
