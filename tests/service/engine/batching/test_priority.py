from __future__ import annotations

from functools import partial

from service.engine.batching.priority import BATCHES_AHEAD, BackgroundWork


def test_it_is_done_at_once_where_nobody_waits() -> None:
    done: list[int] = []
    work = BackgroundWork()
    for number in range(3):
        work.add(partial(done.append, number))
    work.take_turn(requests_wait=False)
    assert done == [0]
    work.take_turn(requests_wait=False)
    work.take_turn(requests_wait=False)
    assert done == [0, 1, 2]
    assert not work
    work.take_turn(requests_wait=False)


def test_requests_go_first_but_never_forever() -> None:
    done: list[int] = []
    work = BackgroundWork()
    for number in range(3):
        work.add(partial(done.append, number))
    for _ in range(2 * BATCHES_AHEAD - 1):
        work.take_turn(requests_wait=True)
    assert done == [0]
    work.take_turn(requests_wait=True)
    assert done == [0, 1]
