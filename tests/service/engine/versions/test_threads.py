from __future__ import annotations

import threading

import pytest

from service.engine.versions.threads import in_own_thread


def test_the_thread_has_ended_when_the_result_is_there() -> None:
    thread = in_own_thread(threading.current_thread)
    assert thread is not threading.current_thread()
    assert not thread.is_alive()


def test_an_exception_is_the_callers() -> None:
    def fail() -> None:
        raise LookupError("no such version")

    with pytest.raises(LookupError, match="no such version"):
        in_own_thread(fail)
