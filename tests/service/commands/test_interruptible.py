from __future__ import annotations

import asyncio
import signal

import pytest
import typer

from service.commands.interruptible import run_to_end


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
