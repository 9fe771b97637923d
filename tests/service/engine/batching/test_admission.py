from __future__ import annotations

import asyncio

import pytest

from model_store.errors import OverloadedError
from service.engine.batching.admission import Admission, TokenRate

pytestmark = pytest.mark.anyio


def admission(max_waiting_tokens: int | None = 100, seconds: float = 1.0, rate: float | None = None) -> Admission:
    measured = TokenRate()
    if rate:
        measured.note(int(rate), 1.0)
    return Admission(max_waiting_tokens, seconds, measured)


def test_an_idle_service_takes_a_call_of_any_size() -> None:
    assert admission().enter(1_000_000).tokens == 1_000_000


def test_small_calls_are_refused_once_too_many_are_ahead() -> None:
    queue = admission(max_waiting_tokens=100)
    for _ in range(11):
        queue.enter(10)
    with pytest.raises(OverloadedError, match=r"110 tokens are ahead .* at most 100"):
        queue.enter(10)
    assert (queue.waiting_tokens, queue.waiting_calls) == (110, 11)


def test_a_huge_call_keeps_no_small_one_out_but_another_huge_one() -> None:
    queue = admission(max_waiting_tokens=100)
    queue.enter(10_000)
    queue.enter(20)
    with pytest.raises(OverloadedError):
        queue.enter(9_000)


def test_what_is_computed_or_left_makes_room() -> None:
    queue = admission(max_waiting_tokens=100)
    first, second = queue.enter(101), queue.enter(50)
    with pytest.raises(OverloadedError):
        queue.enter(101)
    first.tokens -= 60
    queue.enter(101)
    queue.leave(second)
    assert queue.ahead(1000) == 41 + 101


def test_without_a_number_the_limit_is_what_is_computed_in_the_time_to_wait() -> None:
    assert admission(None, 0.5, rate=4000).limit == pytest.approx(2000)
    assert admission(None, 0.5).limit == float("inf")


def test_the_refused_are_told_when_to_come_back() -> None:
    queue = admission(None, 1.0, rate=10)
    queue.enter(50)
    with pytest.raises(OverloadedError) as refusal:
        queue.enter(45)
    assert refusal.value.retry_after_seconds == 4


async def test_a_patient_call_waits_until_there_is_room() -> None:
    queue = admission(max_waiting_tokens=100)
    tickets = [queue.enter(101)]
    waiting = [asyncio.create_task(queue.enter_patiently(101)) for _ in range(3)]
    for expected in range(1, 4):
        done, _ = await asyncio.wait(waiting, timeout=0.01)
        assert len(done) == expected - 1
        queue.leave(tickets.pop())
        done, _ = await asyncio.wait(waiting, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < expected:
            done, _ = await asyncio.wait(waiting, timeout=0.01)
        tickets = [task.result() for task in done if task.result() in queue._tickets]
    assert queue.waiting_calls == 1


def test_the_rate_follows_the_newest_batches() -> None:
    rate = TokenRate()
    for _ in range(200):
        rate.note(100, 1.0)
    for _ in range(200):
        rate.note(1000, 1.0)
    assert rate.tokens_per_second == pytest.approx(1000, rel=0.01)
