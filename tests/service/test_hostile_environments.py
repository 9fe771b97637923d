"""Every command where something is wrong around it: a known exit code, a line that says what, no traceback."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.cli import app
from service.settings import ServiceSettings
from tests.support.in_process import mounted_disk, run_in_process, unmount

Spoil = Callable[[Path], dict[str, str]]

EXIT_CODES = (0, 2, 3, 4, 6, 8)
"""As docs/reference/command_line.md has them, without 5 (training's) and 130."""

US = ("--marketplace", "us")
COMMANDS = {
    "serve": ("serve", "--port", "0"),
    "settings": ("settings",),
    "score": ("score", "lamp", "red lamp", *US),
    "fill": ("fill", "candidates.tsv", *US),
    "lookup": ("lookup", "lamp", *US),
    "rollback": ("rollback", *US),
    "generations": ("cache", "generations", *US),
    "purge-generation": ("cache", "purge-generation", "1", *US),
    "purge-query": ("cache", "purge-query", "lamp", *US),
    "purge-product": ("cache", "purge-product", "7", *US),
    "restore-product": ("cache", "restore-product", "7", *US),
}


def a_file(folder: Path) -> Path:
    path = folder / "a-file"
    path.write_text("not a folder")
    return path


def env_file(content: bytes) -> Spoil:
    def spoil(folder: Path) -> dict[str, str]:
        (folder / ".env").write_bytes(content)
        return {}

    return spoil


def settings_file(content: str) -> Spoil:
    def spoil(folder: Path) -> dict[str, str]:
        (folder / "shop.yaml").write_text(content)
        return {"SETTINGS_FILE": "shop.yaml"}

    return spoil


def broken_cache_folder(folder: Path) -> dict[str, str]:
    (folder / "cache" / "users.lock").mkdir(parents=True)
    return {}


def foreign_socket_note(folder: Path) -> dict[str, str]:
    (folder / "cache").mkdir()
    (folder / "cache" / "socket").write_bytes(b"\xff\xfe" + b"x" * 5000)
    return {}


def unreadable_append_only_file(folder: Path) -> dict[str, str]:
    (folder / "cache" / "appendonlydir").mkdir(parents=True)
    (folder / "cache" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    return {}


def a_server_that_speaks_http(folder: Path) -> dict[str, str]:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    threading.Thread(target=answer, daemon=True).start()
    return {"REDIS_URL": f"redis://127.0.0.1:{listener.getsockname()[1]}"}


def no_store(folder: Path) -> dict[str, str]:
    return {"MODEL_STORE": str(folder / "none")}


def a_pointer_to_nothing(folder: Path) -> dict[str, str]:
    (folder / "store" / "versions").mkdir(parents=True)
    (folder / "store" / "latest").write_bytes(b"\xff\xff")
    return {"MODEL_STORE": str(folder / "store")}


def full_disk(folder: Path) -> dict[str, str]:
    disk = mounted_disk("16k", full=True)
    (folder / "disk").symlink_to(disk)
    return {"CACHE_FOLDER": str(disk / "cache"), "FILL_FOLDER": str(disk / "fills")}


ENVIRONMENTS: dict[str, Spoil] = {
    "every variable empty": lambda _: {name.upper(): "" for name in ServiceSettings.model_fields},
    "a Redis that is away": lambda _: {"REDIS_URL": "redis://127.0.0.1:1"},
    "no URL": lambda _: {"REDIS_URL": "localhost:6379"},
    "an unknown option": lambda _: {"REDIS_URL": "redis://127.0.0.1:1?ssl=true"},
    "a database that is none": lambda _: {"REDIS_URL": "redis://127.0.0.1:1/shop"},
    "no such authority": lambda _: {"REDIS_URL": "rediss://127.0.0.1:1?ssl_ca_certs=/no/ca.pem"},
    "a cluster that is away": lambda _: {"REDIS_URL": "redis://127.0.0.1:1", "REDIS_CLUSTER": "true"},
    "sentinels that are away": lambda _: {"REDIS_URL": "redis+sentinel://127.0.0.1:1/shop"},
    "a server that speaks HTTP": a_server_that_speaks_http,
    "a cache folder that is a file": lambda folder: {"CACHE_FOLDER": str(a_file(folder))},
    "a cache folder that cannot be made": lambda _: {"CACHE_FOLDER": "/proc/cache"},
    "a cache folder of another use": broken_cache_folder,
    "a note of a socket that is none": foreign_socket_note,
    "an append-only file that cannot be read": unreadable_append_only_file,
    "a fill folder that is a file": lambda folder: {"FILL_FOLDER": str(a_file(folder))},
    "a fill folder that cannot be made": lambda _: {"FILL_FOLDER": "/proc/fills"},
    "no store": no_store,
    "a store that is a file": lambda folder: {"MODEL_STORE": str(a_file(folder))},
    "a pointer to nothing": a_pointer_to_nothing,
    "a version that there is not": lambda _: {"MODEL_VERSION": "99"},
    "nobody's home": lambda _: {"MODEL_STORE": "~nobody-of-this-name/store"},
    "a GPU that there is not": lambda _: {"DEVICE": "cuda:9"},
    "a port that is none": lambda _: {"PORT": "https"},
    "a host that is none": lambda _: {"HOST": "no.such.host.example"},
    "an infinite number": lambda _: {"REDIS_TIMEOUT_SECONDS": "inf"},
    "a key that is too short": lambda _: {"API_KEYS": "short"},
    "UTF-16": env_file("MAX_PAIRS=500\n".encode("utf-16")),
    "Latin-1": env_file("SERVED_MODEL_NAME=caf\xe9\n".encode("latin-1")),
    "a line that is none": env_file(b"MAX PAIRS = 500\n"),
    "a settings file that is not there": lambda _: {"SETTINGS_FILE": "none.yaml"},
    "a settings file that is a folder": lambda folder: {"SETTINGS_FILE": str(folder)},
    "a settings file with another name": settings_file("max_pears: 5\n"),
    "a settings file that is no YAML": settings_file("max_pairs: [5\n"),
    "a full disk": full_disk,
}
SERVES = frozenset(
    {
        "every variable empty",
        "a Redis that is away",
        "a cluster that is away",
        "sentinels that are away",
        "a server that speaks HTTP",
        "a note of a socket that is none",
        "a fill folder that is a file",
        "a fill folder that cannot be made",
        "no store",
        "a store that is a file",
        "a pointer to nothing",
        "a version that there is not",
        "a GPU that there is not",
        "a port that is none",
    }
)
"""Where the service starts: without a model it waits for one, without a cache it scores."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the command runs; what was mounted or handled there is undone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "candidates.tsv").write_text("query\tproduct_id\tproduct_title\nlamp\t7\tred lamp\n")
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)
    if (tmp_path / "disk").exists():
        unmount((tmp_path / "disk").resolve())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_command_ends_with_a_line_that_says_what_to_do(
    environment: str,
    folder: Path,
    tiny_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    settings = {
        "MODEL_STORE": str(tiny_store),
        "CACHE_FOLDER": str(folder / "cache"),
        "FILL_FOLDER": str(folder / "fills"),
        "DEVICE": "cpu",
        "TOKEN_BUDGET": "2048",
        "FILL_WAIT_SECONDS": "0",
        **ENVIRONMENTS[environment](folder),
    }
    if not settings["MODEL_STORE"]:
        settings["MODEL_STORE"] = str(folder / "none")
    for name, arguments in COMMANDS.items():
        if name == "serve" and environment in SERVES:
            continue
        code, _, errors = run_in_process(app, arguments, settings, monkeypatch, capsys)
        said = f"{name}: {code}: {errors}"
        assert code in EXIT_CODES, said
        assert "Traceback" not in errors, said
        if code:
            assert errors.splitlines()[-1].startswith("error: "), said
            assert len(errors.splitlines()) == 1 or name in ("serve", "fill", "score"), said
        assert name != "serve" or code, said


def test_the_exit_codes_are_those_that_are_documented() -> None:
    from tests.support import REPOSITORY

    text = (REPOSITORY / "docs" / "reference" / "command_line.md").read_text(encoding="utf-8")
    assert all(f"| {code} |" in text for code in EXIT_CODES)
    assert os.EX_OK in EXIT_CODES
