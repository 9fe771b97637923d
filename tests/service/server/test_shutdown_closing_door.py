from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from service.server.shutdown import refuse_new_connections

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a filter of Linux")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_who_is_at_the_door_is_let_in_and_nobody_else(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        place = listener.getsockname()[:2]
        with socket.create_connection(place, timeout=5) as early:
            refuse_new_connections(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(place, timeout=0.2)
            accepted, _ = listener.accept()
            with accepted:
                early.sendall(b"asked")
                assert accepted.recv(5) == b"asked"
                accepted.sendall(b"answered")
                assert early.recv(8) == b"answered"


def test_where_it_is_not_allowed_the_service_ends_all_the_same() -> None:
    """As a user without any rights; whether a filter is allowed then is up to the kernel."""
    command = (
        "import os, socket\n"
        "from service.server.shutdown import refuse_new_connections\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "refuse_new_connections(socket.create_server(('127.0.0.1', 0)))\n"
        "print('ended')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "ended\n", done.stderr
