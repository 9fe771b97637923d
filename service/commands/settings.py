"""Which settings are in force and where each comes from."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

import typer
from pydantic import SecretStr
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from service.cache.server.address import MASK, without_secrets
from service.settings import SETTINGS_FILE, ServiceSettings, SettingsFileSource

_URLS = frozenset({"redis_url", "otlp_endpoint"})


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting: `source` is `environment`, `.env`, the settings file's path or `default`."""

    name: str
    value: str
    source: str


def settings_rows(settings: ServiceSettings) -> list[SettingRow]:
    """All settings in the order of their declaration; secrets are masked."""
    sources = _sources()
    return [
        SettingRow(name.upper(), _shown(name, getattr(settings, name)), _source_of(name, sources))
        for name in ServiceSettings.model_fields
    ]


def _sources() -> list[tuple[str, dict[str, Any]]]:
    sources: list[tuple[str, dict[str, Any]]] = [
        ("environment", EnvSettingsSource(ServiceSettings)()),
        (".env", DotEnvSettingsSource(ServiceSettings)()),
    ]
    path = os.environ.get(SETTINGS_FILE)
    if path:
        sources.append((path, SettingsFileSource(ServiceSettings, path)()))
    return sources


def _source_of(name: str, sources: list[tuple[str, dict[str, Any]]]) -> str:
    return next((source for source, values in sources if name in values), "default")


def _shown(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_shown(name, item) for item in value)
    if isinstance(value, SecretStr):
        return MASK
    if value is None:
        return ""
    return without_secrets(str(value)) if name in _URLS or "://" in str(value) else str(value)


def print_settings(settings: ServiceSettings, as_json: bool) -> None:
    """Print all rows, as JSON or as a table."""
    rows = settings_rows(settings)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        typer.echo(f"{row.name:{width}}  {row.value}  ({row.source})")
