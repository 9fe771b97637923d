from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from tests.support.training.tiny_marian import LocalHub, local_hub, make_tiny_marian

CLOSED_PORT = "http://127.0.0.1:9"


def forget_connections() -> None:
    """Let the hub's client begin anew: before version 1 it notes at its first request whether it is offline."""
    begin_anew = getattr(huggingface_hub, "close_session", None) or huggingface_hub.configure_http_backend
    begin_anew()


@pytest.fixture(scope="session")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_marian(tmp_path_factory.mktemp("marian") / "en-es")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    forget_connections()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", CLOSED_PORT)
    yield
    forget_connections()


@pytest.fixture
def hub(no_hub: None, marian: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with local_hub({"Helsinki-NLP/opus-mt-en-es": marian}) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        for module in ("constants", "file_download"):  # before version 1 the latter has a name of its own for it
            name = f"huggingface_hub.{module}.HUGGINGFACE_CO_URL_TEMPLATE"
            monkeypatch.setattr(name, template, raising=False)
        yield hub
