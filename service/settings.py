"""The service's settings: the one place in this package that reads the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource

from model_store.errors import ConfigurationError
from model_store.settings import EnvironmentSettings
from model_store.text import MAX_TEXT_CHARACTERS
from service.engine.options import BackendSetting, EngineOptions, PrecisionSetting

SETTINGS_FILE = "SETTINGS_FILE"
MIN_KEY_CHARACTERS = 16
_NOTHING = ("", "~", "null", "Null", "NULL")


def _separated(value: object) -> object:
    """ "a, b" as ("a", "b"): lists in the environment are separated by commas."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_separated)]
Keys = Annotated[
    tuple[Annotated[SecretStr, Field(min_length=MIN_KEY_CHARACTERS)], ...], NoDecode, BeforeValidator(_separated)
]


class SettingsFileSource(InitSettingsSource):
    """What the YAML file that SETTINGS_FILE names gives; a name without a value is left out.

    Every value is taken as it is written, as in the environment: `no` is a marketplace, not false.

    Raises:
        ConfigurationError: the file cannot be read, or has a name that is no setting.
    """

    def __init__(self, settings_cls: type[BaseSettings], path: str) -> None:
        super().__init__(settings_cls, init_kwargs=_settings_file_values(path))


class ServiceSettings(EnvironmentSettings):
    """Read once at the edge: from the environment, `.env`, and the YAML file that SETTINGS_FILE names.

    A field is the variable of its name in capitals; in the file it has its own name.

    `model_version` is a number or `latest`. Without `redis_url` an embedded Valkey keeps its data in
    `cache_folder`. `device` is `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`.
    Without `token_budget` it is measured.
    `root_path` is the prefix under which a proxy serves the service, as `/relevance`.
    `published_host` is where others reach a service that listens inside a container; `host` if None.
    """

    host: str = "127.0.0.1"
    published_host: str | None = None
    port: int = Field(default=8080, ge=0, le=65535)
    root_path: Annotated[str, StringConstraints(pattern=r"^((/[A-Za-z0-9._~-]+)+)?$")] = ""
    log_level: Literal["critical", "error", "warning", "info", "debug"] = "info"

    model_store: Path = Path("var/model-store")
    model_version: Annotated[str, StringConstraints(pattern=r"^(latest|[0-9]+)$")] = "latest"
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    backend: BackendSetting = "auto"
    precision: PrecisionSetting = "auto"
    token_budget: int | None = Field(default=None, ge=64)
    encoded_text_bytes: int = Field(default=256 * 1024 * 1024, ge=0)

    redis_url: str | None = Field(default=None, repr=False)
    redis_cluster: bool = False
    redis_timeout_seconds: float = Field(default=2.0, gt=0)
    cache_folder: Path = Path("var/cache")
    cache_products_per_query: int = Field(default=128, ge=1, le=10_000)
    cache_generations: int = Field(default=2, ge=1, le=100)
    cache_seconds_to_live: float | None = Field(default=None, ge=1)
    cache_jitter: float = Field(default=0.1, ge=0, le=1)

    max_pairs: int = Field(default=10_000, ge=1)
    max_explained_pairs: int = Field(default=100, ge=1)
    max_waiting_tokens: int | None = Field(default=None, ge=1)
    max_wait_seconds: float = Field(default=1.0, gt=0)
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    max_text_characters: int = Field(default=20_000, ge=1, le=MAX_TEXT_CHARACTERS)
    body_seconds: float = Field(default=30.0, gt=0)
    request_seconds: float = Field(default=120.0, gt=0)
    shutdown_seconds: int = Field(default=8, ge=1)
    stream_chunk_pairs: int = Field(default=512, ge=1)

    default_marketplace: str | None = None
    served_model_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{1,100}$")] = "relevance"

    api_keys: Keys = ()
    admin_keys: Keys = ()
    cors_origins: Names = ()

    reload_interval_seconds: float = Field(default=10.0, gt=0)
    log_format: Literal["json", "text"] = "json"
    log_queries: bool = False
    otlp_endpoint: str | None = Field(default=None, repr=False)

    fill_folder: Path = Path("var/fills")
    fill_chunk_pairs: int = Field(default=2048, ge=1)
    fill_checkpoint_pairs: int = Field(default=16_384, ge=1)
    fill_wait_seconds: float = Field(default=600.0, ge=0)
    fill_bad_row_share: float = Field(default=0.05, ge=0, le=1)
    fill_rescored_pairs: int = Field(default=64, ge=0, le=10_000)
    fill_kept_share_change: float = Field(default=0.25, ge=0, le=1)
    fill_empty_share_change: float = Field(default=0.25, ge=0, le=1)

    jobs_folder: Path | None = None
    jobs_waiting: int = Field(default=20, ge=0, le=1000)
    jobs_kept: int = Field(default=100, ge=1, le=10_000)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in the call comes first, then the environment, `.env` and the file."""
        sources = (init_settings, env_settings, dotenv_settings)
        path = os.environ.get(SETTINGS_FILE)
        return (*sources, SettingsFileSource(settings_cls, path)) if path else sources

    @property
    def engine(self) -> EngineOptions:
        """What the settings say of the engine."""
        return EngineOptions(
            self.device, self.backend, self.precision, self.token_budget, self.encoded_text_bytes
        )


def load_settings(**overrides: object) -> ServiceSettings:
    """Settings from the environment, `.env` and the settings file; an override that is None counts as not given.

    Raises:
        ConfigurationError: names the first variable that is wrong.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    return ServiceSettings(**given)  # type: ignore[arg-type] # pydantic checks them


def _settings_file_values(path: str) -> dict[str, Any]:
    try:
        # BaseLoader leaves every value a text.
        content = yaml.load(Path(path).expanduser().read_text(encoding="utf-8-sig"), yaml.BaseLoader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        # Its own text quotes the line, which may hold a password.
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigurationError(
            f"{SETTINGS_FILE} {path}{line}: cannot be read as YAML ({error.problem})"
        ) from error
    except (OSError, RuntimeError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"{SETTINGS_FILE} {path}: cannot be read ({reason})") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{SETTINGS_FILE} {path}: write one `name: value` a line")
    unknown = sorted(str(name) for name in content if name not in ServiceSettings.model_fields)
    if unknown:
        raise ConfigurationError(f"{SETTINGS_FILE} {path}: there is no setting {', '.join(unknown)}")
    return {name: value for name, value in content.items() if value not in _NOTHING}
