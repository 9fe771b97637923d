from __future__ import annotations

import asyncio
import gc
import json
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest
import typer

from service.server.run import freeze_heap, run_to_end


async def interrupted_by(number: signal.Signals, cleaned_up: list[str]) -> None:
    """Gets a signal in the middle of its work."""
    try:
        signal.raise_signal(number)
        await asyncio.Event().wait()
    finally:
        cleaned_up.append("clean")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_command_cleans_up_and_ends_as_interrupted(
    number: signal.Signals, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    cleaned_up: list[str] = []
    # Where the tests run in the background of a shell, it is ignored from the start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with pytest.raises(typer.Exit) as ended:
        run_to_end(interrupted_by(number, cleaned_up))
    assert ended.value.exit_code == 130
    assert cleaned_up == ["clean"]
    assert "what the cache serves is whole" in capsys.readouterr().err


def test_the_result_of_a_command_that_ran_through() -> None:
    assert run_to_end(asyncio.sleep(0, "done")) == "done"


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
