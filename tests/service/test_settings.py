from __future__ import annotations

import re
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError
from service.commands.settings import settings_rows
from service.settings import ServiceSettings, load_settings
from tests.support.repository import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "reference" / "settings.md"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOST", "PORT", "MODEL_STORE", "REDIS_URL", "CACHE_FOLDER", "DEVICE", "MAX_PAIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_are_local() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.redis_url) == ("127.0.0.1", 8080, None)
    assert (settings.max_pairs, settings.max_text_characters) == (10_000, 20_000)


def test_environment_env_file_and_options_in_this_order(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=1\nMAX_PAIRS=7\nHOST=file\n")
    monkeypatch.setenv("PORT", "2")
    monkeypatch.setenv("HOST", "environment")
    settings = load_settings(port=3, host=None)
    assert (settings.port, settings.host, settings.max_pairs) == (3, "environment", 7)


@pytest.mark.parametrize(("name", "value"), [("PORT", "99999"), ("DEVICE", "tpu"), ("MAX_PAIRS", "many")])
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"setting {name}"):
        load_settings()


def test_every_variable_is_documented_with_its_default() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", text, re.MULTILINE))
    assert rows.keys() == {name.upper() for name in ServiceSettings.model_fields}
    written = {name.lower(): value.replace(",", "") for name, value in rows.items() if value != "none"}
    assert load_settings(**written) == load_settings()


@pytest.mark.parametrize("place", ["environment", ".env", "settings file"])
def test_what_is_empty_counts_as_not_given(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    names = list(ServiceSettings.model_fields)
    expected = ServiceSettings()
    if place == "environment":
        for name in names:
            monkeypatch.setenv(name.upper(), "")
    elif place == ".env":
        Path(".env").write_text("".join(f"{name.upper()}=\n" for name in names))
    else:
        empty = ("", ' ""')
        Path("shop.yaml").write_text("".join(f"{name}:{empty[n % 2]}\n" for n, name in enumerate(names)))
        monkeypatch.setenv("SETTINGS_FILE", "shop.yaml")
    settings = load_settings()
    assert settings == expected
    assert {row.source for row in settings_rows(settings)} == {"default"}


def test_an_empty_variable_leaves_what_the_files_give(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=\nMAX_PAIRS=7\n")
    Path("shop.yaml").write_text("port: 5\n")
    monkeypatch.setenv("SETTINGS_FILE", "shop.yaml")
    monkeypatch.setenv("MAX_PAIRS", "")
    assert (load_settings().port, load_settings().max_pairs) == (5, 7)


def test_no_settings_file_is_read_where_its_variable_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETTINGS_FILE", "")
    assert load_settings() == ServiceSettings()
