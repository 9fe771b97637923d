from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from model_store.errors import ConfigurationError
from service.cache.server.embedded import EmbeddedValkey
from tests.support import REPOSITORY

_USE_AND_WAIT = """
import sys
from pathlib import Path
from service.cache.server.embedded import EmbeddedValkey
server = EmbeddedValkey(Path(sys.argv[1]))
print(server.started_here, flush=True)
sys.stdin.read()
server.leave()
"""


def other_process(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _USE_AND_WAIT, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() in ("True", "False")
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("")
    assert process.returncode == 0


def test_entries_outlive_the_server(tmp_path: Path) -> None:
    first = EmbeddedValkey(tmp_path)
    with Redis.from_url(first.url) as client:
        client.set("a", "1")
    first.leave()
    second = EmbeddedValkey(tmp_path)
    with Redis.from_url(second.url) as client:
        assert client.get("a") == b"1"
    second.leave()


def test_leaving_stops_the_server(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    server.leave()
    server.leave()
    with Redis.from_url(server.url) as client, pytest.raises(RedisConnectionError):
        client.ping()


def test_a_second_process_uses_the_first_ones_server(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    other = other_process(tmp_path)
    end(other)
    with Redis.from_url(server.url) as client:
        assert client.ping()
    server.leave()


def test_the_server_stays_while_anybody_uses_it(tmp_path: Path) -> None:
    starter = other_process(tmp_path)
    joiner = EmbeddedValkey(tmp_path)
    assert not joiner.started_here
    end(starter)
    with Redis.from_url(joiner.url) as client:
        assert client.ping()
    joiner.leave()
    with Redis.from_url(joiner.url) as client, pytest.raises(RedisConnectionError):
        client.ping()


def test_the_server_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    killed = other_process(tmp_path)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    heir = EmbeddedValkey(tmp_path)
    assert not heir.started_here
    heir.leave()
    with Redis.from_url(heir.url) as client, pytest.raises(RedisConnectionError):
        client.ping()


def test_a_killed_server_is_started_again(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    with Redis.from_url(server.url) as client:
        client.set("a", "1")
        client.execute_command("WAITAOF", 1, 0, 5000)
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGKILL)
    server.leave()
    again = EmbeddedValkey(tmp_path)
    with Redis.from_url(again.url) as client:
        assert client.get("a") == b"1"
    again.leave()


def test_a_long_folder_name_is_no_problem(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / ("x" * 100) / ("y" * 100))
    with Redis.from_url(server.url) as client:
        assert client.ping()
    server.leave()


def test_it_listens_on_no_network_port(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    with Redis.from_url(server.url) as client:
        assert client.config_get("port") == {"port": "0"}
    server.leave()


def test_a_folder_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="CACHE_FOLDER"):
        EmbeddedValkey(tmp_path / "file" / "cache")
