"""Fills on real Ray clusters on this machine; skipped where the extra `ray` is not installed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service.command_line import Finished, Shop
from tests.support.service.ray_nodes import RayNodes
from tests.support.service.redis_servers import PersistentServer, contents
from tests.support.service.watched_fill import write_candidates
from tests.support.tiny_model import build_tiny_store

pytest.importorskip("ray")

_QUERIES, _PRODUCTS, _PART = 100, 120, 256
_SECONDS = 500


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PersistentServer]:
    server = PersistentServer(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def shop(tmp_path: Path, server: PersistentServer) -> Shop:
    shop = Shop.in_folder(tmp_path / "shop", build_tiny_store(tmp_path))
    sizes = {"FILL_CHUNK_PAIRS": "128", "FILL_CHECKPOINT_PAIRS": str(_PART), "TOKEN_BUDGET": "2048"}
    settings = {**shop.settings, **sizes, "REDIS_URL": server.url, "CACHE_PRODUCTS_PER_QUERY": "20"}
    return Shop(shop.folder, settings)


@pytest.fixture
def candidates(tmp_path: Path) -> Path:
    return write_candidates(tmp_path / "candidates.tsv", _QUERIES, _PRODUCTS)


@pytest.mark.timeout(900)
def test_one_node_makes_what_the_local_engine_makes(
    shop: Shop, server: PersistentServer, candidates: Path
) -> None:
    local = shop.run("fill", str(candidates), "--marketplace", "us")
    assert local.code == 0, local.errors
    expected = contents(server.url)
    arguments = ("fill", str(candidates), "--marketplace", "us", "--engine", "ray", "--ray-actors", "2")
    spread = _filled(shop.started(*arguments))
    assert spread.code == 0, spread.errors
    assert contents(server.url) == expected
    report, of_local = json.loads(spread.output), json.loads(local.output)
    assert report["generation"] == of_local["generation"] + 1
    for name in ("counts", "histogram", "kept_share"):
        assert report[name] == of_local[name]


def test_without_a_server_that_others_reach_it_is_refused(shop: Shop, candidates: Path) -> None:
    alone = Shop(shop.folder, {**shop.settings, "REDIS_URL": ""})
    ended = alone.run("fill", str(candidates), "--marketplace", "us", "--engine", "ray")
    assert ended.code == 3
    assert "set REDIS_URL" in ended.errors


def test_a_name_that_workers_cannot_be_given_is_refused(shop: Shop, candidates: Path) -> None:
    renamed = candidates.rename(candidates.with_name(os.fsdecode(b"caf\xe9.tsv")))
    ended = shop.run("fill", str(renamed), "--marketplace", "us", "--engine", "ray")
    assert ended.code == 2
    assert "caf\\xe9.tsv: the name is not UTF-8" in ended.errors


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_node_killed_in_the_middle_changes_nothing(
    shop: Shop, server: PersistentServer, candidates: Path
) -> None:
    arguments = ("fill", str(candidates), "--marketplace", "us", "--engine", "ray")
    with RayNodes() as nodes:
        # One core each: what the killed node had begun is left to the other, which has no room for its actor.
        nodes.add()
        doomed = nodes.add()
        command = (*arguments, "--ray-address", nodes.address)
        undisturbed = _filled(shop.started(*command))
        assert undisturbed.code == 0, undisturbed.errors
        expected, of_undisturbed = contents(server.url), json.loads(undisturbed.output)
        with server.texts_set("*:checkpoint:*") as checkpoints:
            process = shop.started(*command)
            # One as the fill begins, the next when parts are done.
            for _ in range(2):
                assert checkpoints.get_message(timeout=_SECONDS)
        nodes.kill(doomed)
        disturbed = _filled(process)
    assert disturbed.code == 0, disturbed.errors
    assert "parts of actors that were lost are scored again" in disturbed.errors
    assert contents(server.url) == expected
    report = json.loads(disturbed.output)
    assert report["generation"] == of_undisturbed["generation"] + 1
    for name in ("counts", "histogram", "kept_share"):
        assert report[name] == of_undisturbed[name]


def _filled(process: subprocess.Popen[str]) -> Finished:
    """How a fill ends, which is killed where it takes too long."""
    with process:
        try:
            output, errors = process.communicate(timeout=_SECONDS)
        finally:
            process.kill()
    return Finished(process.returncode, output, errors)
