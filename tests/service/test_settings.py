from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.errors import ConfigurationError
from service.commands.settings import settings_rows
from service.settings import ServiceSettings, load_settings
from tests.support import REPOSITORY

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


@pytest.mark.parametrize(
    ("line", "name", "expected"),
    [
        ("model_version: 2", "model_version", "2"),
        ("model_version: 0012", "model_version", "0012"),
        ("default_marketplace: no", "default_marketplace", "no"),
        ("default_marketplace: on", "default_marketplace", "on"),
        ("served_model_name: 1e3", "served_model_name", "1e3"),
        ("redis_cluster: yes", "redis_cluster", True),
        ("redis_cluster: false", "redis_cluster", False),
        ("port: 7", "port", 7),
        ("token_budget: null", "token_budget", None),
        ("token_budget: ~", "token_budget", None),
        ("cors_origins: [http://a, http://b]", "cors_origins", ("http://a", "http://b")),
        ("cors_origins: http://a, http://b", "cors_origins", ("http://a", "http://b")),
    ],
)
def test_a_settings_file_is_taken_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, line: str, name: str, expected: object
) -> None:
    Path("shop.yaml").write_text(f"{line}\n", encoding="utf-8-sig")
    monkeypatch.setenv("SETTINGS_FILE", "shop.yaml")
    assert getattr(load_settings(), name) == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"- a list", "name: value"),
        (b"port", "name: value"),
        (b"prot: 1", "no setting prot"),
        (b"port: [1", "line 1: cannot be read as YAML"),
        (b"redis_url: 'redis://:hunter2secret@host\nport: 1", "line 2: cannot be read as YAML"),
        (b"port: 1\n\tredis_url: redis://:hunter2secret@host", "line 2: cannot be read as YAML"),
        ("host: café".encode("latin-1"), "cannot be read"),
        (b"port: {a: b}", "setting PORT"),
        (b"a: &a [*a]", "no setting a|cannot be read as YAML|cannot be read"),
    ],
)
def test_a_settings_file_that_is_wrong_is_named_and_no_secret_of_it_is_shown(
    monkeypatch: pytest.MonkeyPatch, content: bytes, says: str
) -> None:
    Path("shop.yaml").write_bytes(content)
    monkeypatch.setenv("SETTINGS_FILE", "shop.yaml")
    with pytest.raises(ConfigurationError, match=says) as caught:
        load_settings()
    assert "hunter2secret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


FOLDERS = [name for name, field in ServiceSettings.model_fields.items() if "Path" in str(field.annotation)]
NUMBERS = [name for name, field in ServiceSettings.model_fields.items() if field.annotation in (int, float)]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999", "infinity"])
def test_no_number_is_infinite(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert len(NUMBERS) > 15
    for name in NUMBERS:
        with pytest.raises(ConfigurationError, match=f"setting {name.upper()}:"):
            load_settings(**{name: value})


@given(
    name=st.sampled_from([name for name in ServiceSettings.model_fields if not name.endswith("_keys")]),
    value=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
)
def test_any_value_is_taken_or_refused_by_its_name(name: str, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name.upper(), value)
        try:
            settings = load_settings()
        except ConfigurationError as error:
            problem = str(error)
        else:
            problem = f"setting {name.upper()}: none"
            assert len(settings_rows(settings)) == len(ServiceSettings.model_fields)
    assert problem.startswith(f"setting {name.upper()}")


@pytest.mark.parametrize("place", ["environment", ".env", "settings file"])
@pytest.mark.parametrize("name", FOLDERS)
def test_the_home_folder_is_expanded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if place == "environment":
        monkeypatch.setenv(name.upper(), "~/deep/x")
    elif place == ".env":
        Path(".env").write_text(f"{name.upper()}=~/deep/x\n")
    else:
        Path("shop.yaml").write_text(f"{name}: ~/deep/x\n")
        monkeypatch.setenv("SETTINGS_FILE", "~/shop.yaml")
    assert getattr(load_settings(), name) == tmp_path / "deep" / "x"


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1/0?password=hunter2secret",
        "redis://:hunter2secret@127.0.0.1:1/0",
        "redis://hunter2secret@127.0.0.1:1",
        "redis+sentinel://127.0.0.1:1/shop?sentinel_password=hunter2secret",
        "rediss://127.0.0.1:1?ssl_password=hunter2secret",
        "hunter2secret",
    ],
)
def test_no_form_of_a_password_is_among_the_settings_that_are_printed(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.setenv("OTLP_ENDPOINT", "http://user:hunter2secret@collector/v1/traces?key=hunter2secret")
    settings = load_settings()
    assert "hunter2secret" not in str(settings_rows(settings))
    assert "hunter2secret" not in repr(settings)
