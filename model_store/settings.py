"""The model store's settings, and what the settings of all three packages have in common.

This is the one place in this package that reads the environment.
"""

from __future__ import annotations

import codecs
from io import StringIO
from pathlib import Path
from typing import Any

import platformdirs
from dotenv.parser import parse_stream
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from model_store.errors import ConfigurationError

_ENV_FILE = ".env"
_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class EnvironmentSettings(BaseSettings):
    """Settings from the environment and from `.env` where a command is started.

    A field is the variable of its name in capitals; what is empty counts as not given. In a path `~` is the home
    folder. No number is infinite.

    Raises:
        ConfigurationError: `.env` cannot be read, or names the first variable that is wrong.
    """

    model_config = SettingsConfigDict(
        env_file=_ENV_FILE,
        env_file_encoding="utf-8-sig",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        allow_inf_nan=False,
    )

    def __init__(self, **given: Any) -> None:
        if given.get("_env_file", _ENV_FILE) == _ENV_FILE:
            check_env_file()
        try:
            super().__init__(**given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(map(str, first["loc"])).upper()
            raise ConfigurationError(
                f"setting {name}: {first['msg']}; correct the environment, .env or the settings file"
            ) from error

    @field_validator("*", mode="after")
    @classmethod
    def _expand_home(cls, value: object) -> object:
        if not isinstance(value, Path):
            return value
        if "\0" in str(value):
            raise ValueError("a path has no NUL character")
        try:
            return value.expanduser()
        except RuntimeError as error:
            raise ValueError(f"{value} begins with the home folder of a user who is unknown") from error


def check_env_file() -> None:
    """Whether `.env`, where there is one, can be read, every line of it.

    Raises:
        ConfigurationError: names the line.
    """
    path = Path(_ENV_FILE)
    # A folder of that name is somebody's virtual environment.
    if not path.is_file():
        return
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{_ENV_FILE}: cannot be read ({error})") from error
    if content.startswith(_MARKS):
        raise ConfigurationError(f"{_ENV_FILE}: is UTF-16 (as PowerShell's > writes it); save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{_ENV_FILE}, line {line}: is not UTF-8; save the file as UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigurationError(f"{_ENV_FILE}, line {line}: has a NUL character; save the file as UTF-8")
    for statement in parse_stream(StringIO(text)):
        if statement.error:
            raise ConfigurationError(
                f"{_ENV_FILE}, line {statement.original.line}: cannot be understood; write NAME=value"
            )


class ModelStoreSettings(EnvironmentSettings):
    """Where versions and converted encoders lie.

    `model_store` is the store's folder. `relevance_cache` keeps what is made once on a machine: converted base
    encoders, their digests, measured token budgets. It is not the service's `CACHE_FOLDER`, the data of the
    embedded Valkey.
    """

    model_store: Path = Path("var/model-store")
    relevance_cache: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("continual-relevance"))
    )
