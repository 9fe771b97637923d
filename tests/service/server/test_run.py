from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from service.server.run import freeze_heap


class _Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_stays_is_not_gone_through_again() -> None:
    freeze_heap()
    # A tuple of what the collector still goes through; the frozen ones are not in it.
    assert len(gc.get_objects()) < gc.get_freeze_count() / 10


def test_what_was_settled_and_is_garbage_now_goes_with_the_next_time() -> None:
    cycle = _Cycle()
    freeze_heap()
    gone = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert gone() is not None
    freeze_heap()
    assert gone() is None


def test_the_server_settles_before_it_answers() -> None:
    code = """
import gc, json, sys
import service.server.run as serving
seen = {}
def run(self, sockets):
    seen.update(frozen=gc.get_freeze_count(), followed=len(gc.get_objects()))
serving.DrainingServer.run = run
try:
    serving.serve(serving.ServiceSettings(port=0, model_store="nowhere"))
except serving.ConfigurationError:
    print(json.dumps(seen))
"""
    command = [sys.executable, "-c", code]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert found["followed"] < found["frozen"] / 10
