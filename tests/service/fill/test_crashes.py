"""The fill and the server killed at random moments: readers see in the end what an undisturbed fill makes."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cache.server.commands import PIPELINE_COMMANDS
from tests.support.service.command_line import Shop
from tests.support.service.redis_servers import PersistentServer, contents
from tests.support.service.watched_fill import title_of, write_rows
from tests.support.tiny_model import build_tiny_store

_QUERIES, _PRODUCTS = 400, 50
_SECONDS_OF_STARTING = 2.0
"""Most of a start is spent on importing torch; kills before that show nothing new."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PersistentServer]:
    server = PersistentServer(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def shop(tmp_path: Path, server: PersistentServer) -> Shop:
    shop = Shop.in_folder(tmp_path / "shop", build_tiny_store(tmp_path))
    settings = {"REDIS_URL": server.url, "FILL_CHUNK_PAIRS": "64", "FILL_CHECKPOINT_PAIRS": "256"}
    return Shop(shop.folder, {**shop.settings, **settings, "CACHE_PRODUCTS_PER_QUERY": "20"})


@pytest.fixture
def candidates(tmp_path: Path) -> Path:
    generator = random.Random(0)
    rows = [
        f"query {query}\tp{product}\t{title_of(product + query)}"
        for query in range(_QUERIES)
        for product in range(_PRODUCTS)
    ]
    generator.shuffle(rows)
    assert len(rows) > PIPELINE_COMMANDS
    return write_rows(tmp_path / "candidates.tsv", rows)


@pytest.mark.parametrize(
    ("job_kills", "server_kills"),
    [
        pytest.param(1, 1, marks=pytest.mark.timeout(900)),
        pytest.param(25, 5, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_killed_at_random_moments_it_makes_the_same(
    shop: Shop, server: PersistentServer, candidates: Path, job_kills: int, server_kills: int
) -> None:
    started = time.monotonic()
    undisturbed = shop.run("fill", str(candidates), "--marketplace", "us")
    longest = time.monotonic() - started
    assert undisturbed.code == 0, undisturbed.errors
    expected = contents(server.url)
    assert len(expected) == _QUERIES
    generator = random.Random(1)
    kills = ["job"] * job_kills + ["server"] * server_kills
    generator.shuffle(kills)
    while kills:
        seconds = generator.uniform(_SECONDS_OF_STARTING, longest)
        with shop.started("fill", str(candidates), "--marketplace", "us") as process:
            if ended_within(process, seconds):
                assert process.returncode == 0
            elif kills.pop() == "job":
                process.kill()
            else:
                server.kill()
                server.lose_the_end(generator, 0.05)
                server.start()
                _, errors = process.communicate(timeout=240)
                assert process.returncode == 0, errors
        assert contents(server.url) == expected
    final = shop.run("fill", str(candidates), "--marketplace", "us")
    assert final.code == 0, final.errors
    assert contents(server.url) == expected
    assert f'"scored": {_QUERIES * _PRODUCTS}' in final.output


def ended_within(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
