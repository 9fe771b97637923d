from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import ConfigurationError
from service.commands.settings import settings_rows
from service.settings import load_settings


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PORT", "HOST", "REDIS_URL", "API_KEYS", "MAX_PAIRS", "SETTINGS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_each_setting_has_its_source_and_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MAX_PAIRS=7\nPORT=1\n")
    Path("shop.yaml").write_text("default_marketplace: es\nmax_pairs: 9\n")
    monkeypatch.setenv("SETTINGS_FILE", "shop.yaml")
    monkeypatch.setenv("PORT", "2")
    monkeypatch.setenv("API_KEYS", "first-key-of-the-shop,second-key-of-the-shop")
    monkeypatch.setenv("REDIS_URL", "rediss://user:secret@redis:6379/0")
    settings = load_settings()
    assert [key.get_secret_value() for key in settings.api_keys][1] == "second-key-of-the-shop"
    rows = {row.name: (row.value, row.source) for row in settings_rows(settings)}
    assert rows["PORT"] == ("2", "environment")
    assert rows["MAX_PAIRS"] == ("7", ".env")
    assert rows["DEFAULT_MARKETPLACE"] == ("es", "shop.yaml")
    assert rows["HOST"] == ("127.0.0.1", "default")
    assert rows["API_KEYS"] == ("********, ********", "environment")
    assert rows["REDIS_URL"] == ("rediss://user:********@redis:6379/0", "environment")
    assert "secret" not in repr(settings_rows(settings))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("max_pairs: many", "setting MAX_PAIRS"),
        ("max_pears: 3", "there is no setting max_pears"),
        ("- a", "write one `name: value` a line"),
        ("a: [", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_settings_file_is_told(
    monkeypatch: pytest.MonkeyPatch, content: str | None, problem: str
) -> None:
    if content is not None:
        Path("shop.yaml").write_text(content)
    monkeypatch.setenv("SETTINGS_FILE", "shop.yaml")
    with pytest.raises(ConfigurationError, match=problem):
        load_settings()


def test_a_short_key_is_refused_and_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "tooshort")
    with pytest.raises(ConfigurationError, match="setting API_KEYS") as error:
        load_settings()
    assert "tooshort" not in str(error.value)
