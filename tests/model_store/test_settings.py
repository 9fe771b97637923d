from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from model_store.encoders.base_encoders import parse_base_encoder
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
