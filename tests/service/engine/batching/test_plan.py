from __future__ import annotations

from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_store.encoding.batch import SPECIAL_TOKENS
from service.engine.batching.plan import BATCHES_AHEAD, BackgroundWork, BatchPlan


def lengths(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def taken(batch: list[tuple[str, np.ndarray]]) -> dict[str, list[int]]:
    return {key: rows.tolist() for key, rows in batch}


def test_a_call_gives_its_longest_rows_first() -> None:
    plan: BatchPlan[str] = BatchPlan(2 * (10 + SPECIAL_TOKENS))
    plan.add("a", lengths(3, 10, 9))
    assert taken(plan.next_batch()) == {"a": [1, 2]}
    assert taken(plan.next_batch()) == {"a": [0]}
    assert not plan


def test_room_that_is_left_goes_to_rows_that_are_no_longer() -> None:
    plan: BatchPlan[str] = BatchPlan(3 * (10 + SPECIAL_TOKENS))
    plan.add("a", lengths(10))
    plan.add("b", lengths(30, 8, 2, 10))
    assert taken(plan.next_batch()) == {"a": [0], "b": [3, 1]}
    assert not plan.has_rows("a")


def test_a_small_call_does_not_wait_for_a_large_one() -> None:
    plan: BatchPlan[str] = BatchPlan(100)
    plan.add("large", lengths(*[90] * 1000))
    plan.add("small", lengths(5))
    plan.next_batch()
    assert "small" in taken(plan.next_batch())


def test_a_row_longer_than_the_budget_gets_a_batch_of_its_own() -> None:
    plan: BatchPlan[str] = BatchPlan(64)
    plan.add("a", lengths(500, 500))
    assert taken(plan.next_batch()) == {"a": [0]}


def test_a_call_without_rows_never_waits_and_a_dropped_one_no_longer() -> None:
    plan: BatchPlan[str] = BatchPlan(64)
    plan.add("empty", lengths())
    plan.add("dropped", lengths(3, 4))
    plan.drop("dropped")
    plan.drop("unknown")
    assert not plan
    assert plan.waiting() == []


@given(
    calls=st.lists(st.lists(st.integers(1, 60), max_size=12), min_size=1, max_size=6),
    budget=st.integers(64, 400),
)
def test_every_row_comes_once_and_no_batch_exceeds_the_budget(calls: list[list[int]], budget: int) -> None:
    plan: BatchPlan[int] = BatchPlan(budget)
    for key, rows in enumerate(calls):
        plan.add(key, lengths(*rows))
    seen = []
    while plan:
        batch = plan.next_batch()
        widths = [calls[key][row] for key, rows in batch for row in rows.tolist()]
        assert widths
        assert len(widths) * (max(widths) + SPECIAL_TOKENS) <= budget or len(widths) == 1
        seen += [(key, row) for key, rows in batch for row in rows.tolist()]
    assert sorted(seen) == [(key, row) for key, rows in enumerate(calls) for row in range(len(rows))]


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
