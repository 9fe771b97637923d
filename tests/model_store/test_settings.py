from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.errors import ConfigurationError
from model_store.settings import ModelStoreSettings

USERS_CACHE = Path(platformdirs.user_cache_dir("continual-relevance"))


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MODEL_STORE", "RELEVANCE_CACHE", "CACHE_FOLDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_what_is_made_once_on_a_machine_lies_in_the_user_s_cache_and_is_moved_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ModelStoreSettings().relevance_cache == USERS_CACHE
    monkeypatch.setenv("RELEVANCE_CACHE", "elsewhere")
    assert ModelStoreSettings().relevance_cache == Path("elsewhere")


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_the_folder_of_the_embedded_valkey_is_another_one(
    monkeypatch: pytest.MonkeyPatch, tiny_encoder_folder: Path, tmp_path: Path, place: str
) -> None:
    valkey, users = tmp_path / "valkey", tmp_path / "users"
    monkeypatch.setenv("XDG_CACHE_HOME", str(users))
    if place == "environment":
        monkeypatch.setenv("CACHE_FOLDER", str(valkey))
    else:
        Path(".env").write_text(f"CACHE_FOLDER={valkey}\n")
    parse_base_encoder(str(tiny_encoder_folder)).digest()
    assert not valkey.exists()
    assert list(users.rglob("digests/*"))


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_an_empty_variable_counts_as_not_given(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    if place == "environment":
        monkeypatch.setenv("MODEL_STORE", "")
        monkeypatch.setenv("RELEVANCE_CACHE", "")
    else:
        Path(".env").write_text("MODEL_STORE=\nRELEVANCE_CACHE=\n")
    assert ModelStoreSettings().model_store == Path("var/model-store")
    assert ModelStoreSettings().relevance_cache == USERS_CACHE


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("MODEL_STORE=a\n".encode("utf-16"), "is UTF-16"),
        ("MODEL_STORE=a\n".encode("utf-32"), "is UTF-16"),
        (b"\xfe\xff" + "MODEL_STORE=a\n".encode("utf-16-be"), "is UTF-16"),
        ("# settings\nMODEL_STORE=almacén\n".encode("latin-1"), "line 2: is not UTF-8"),
        ("MODEL_STORE=a\n".encode("utf-16-le"), "line 1: has a NUL"),
        (b"A=1\n\nMODEL STORE = a\n", r"line \d: cannot be understood"),
        (b"A=1\nB='without end\n", "line 2: cannot be understood"),
        (b"MODEL_STORE=~nobody-of-this-name/x\n", "setting MODEL_STORE: .*home folder"),
    ],
)
def test_an_env_file_that_cannot_be_understood_is_an_error_that_names_the_line(content: bytes, says: str) -> None:
    Path(".env").write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"\.env.*{says}|{says}"):
        ModelStoreSettings()


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbfMODEL_STORE=a")
@example(b"MODEL_STORE=\x00")
def test_any_env_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("env")
    with contextlib.chdir(folder):
        Path(".env").write_bytes(content)
        try:
            settings = ModelStoreSettings()
        except ConfigurationError as error:
            problem: str | None = str(error)
        else:
            problem = None
            assert isinstance(settings.model_store, Path)
    assert problem is None or ".env" in problem
    assert problem is None or len(problem.splitlines()) == 1


def test_a_mark_before_utf_8_is_no_part_of_a_name() -> None:
    Path(".env").write_bytes("MODEL_STORE=almacén\n".encode("utf-8-sig"))
    assert ModelStoreSettings().model_store == Path("almacén")


@pytest.mark.parametrize("place", ["environment", ".env", "call"])
def test_the_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    given: dict[str, Any] = {}
    if place == "environment":
        monkeypatch.setenv("MODEL_STORE", "~/store")
    elif place == ".env":
        Path(".env").write_text("MODEL_STORE=~/store\n")
    else:
        given["model_store"] = "~/store"
    assert ModelStoreSettings(**given).model_store == tmp_path / "store"
