"""Scores concurrent calls in common batches: tokenized on threads of their own, computed on one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from model_store.errors import OverloadedError
from model_store.product import QueryProductPair
from service.engine.batch_plan import BatchPlan
from service.engine.row_work import RowWork
from service.engine.scorer import PreparedPairs, Scorer, TextSide

TOKENIZING_THREADS = 2

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """Scores in the order of the pairs, and what of each was cut off."""

    scores: list[float]
    truncated: list[tuple[TextSide, ...]]


@dataclass(eq=False, slots=True)
class _Call:
    scorer: Scorer
    prepared: PreparedPairs
    work: RowWork[Any, Any] | None = None
    # Stays pending until there is an answer, so that it can be cancelled at any moment.
    future: Future[list[float]] = field(default_factory=Future)


class MicroBatching:
    """Continuous batching: what arrives while a batch is computed goes into the next one.

    The computing thread gets tokens and gives scores; it waits neither for tokenizing nor for JSON. The queue
    is bounded by pairs, so that a flood is refused at once instead of answered too late.

    Args:
        max_waiting_pairs: pairs that may be in work; a call that comes to an idle service is never refused.
    """

    def __init__(self, max_waiting_pairs: int) -> None:
        self._max_waiting_pairs = max_waiting_pairs
        self._waiting_pairs = 0
        self._tokenizing = ThreadPoolExecutor(TOKENIZING_THREADS, thread_name_prefix="tokenizing")
        self._computing = _ComputingThread()

    @property
    def waiting_pairs(self) -> int:
        """Pairs of the calls that are not answered yet."""
        return self._waiting_pairs

    async def score(self, scorer: Scorer, pairs: Sequence[QueryProductPair]) -> ScoredPairs:
        """Scores of pairs. Cancelling the caller drops what was not computed yet.

        Raises:
            OverloadedError: too many pairs wait already, or the service is being shut down.
        """
        if self._waiting_pairs and self._waiting_pairs + len(pairs) > self._max_waiting_pairs:
            raise OverloadedError(
                f"{self._waiting_pairs} pairs are being scored and {len(pairs)} more would exceed "
                f"{self._max_waiting_pairs} (MAX_WAITING_PAIRS); ask again in a moment"
            )
        self._waiting_pairs += len(pairs)
        try:
            loop = asyncio.get_running_loop()
            prepared = await loop.run_in_executor(self._tokenizing, scorer.prepare, pairs)
            call = _Call(scorer, prepared)
            self._computing.hand_over(call)
            scores = await asyncio.wrap_future(call.future)
        finally:
            self._waiting_pairs -= len(pairs)
        return ScoredPairs(scores, prepared.truncated())

    async def run(self, function: Callable[[], _Result]) -> _Result:
        """The result of a function that needs a scorer for itself, called between two batches.

        Raises:
            OverloadedError: the service is being shut down.
        """
        future: Future[_Result] = Future()
        self._computing.hand_over(lambda: _settle(future, function))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Cancel the calls that wait; returns after the batch at hand."""
        self._computing.close()
        self._tokenizing.shutdown(cancel_futures=True)


class _ComputingThread:
    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._arrived: list[_Call | Callable[[], None]] = []
        self._closed = False
        self._plans: dict[Scorer, BatchPlan[_Call]] = {}
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
        self._thread.start()

    def hand_over(self, item: _Call | Callable[[], None]) -> None:
        with self._wake:
            if self._closed:
                raise OverloadedError("the service is being shut down; ask again in a moment")
            self._arrived.append(item)
            self._wake.notify()

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._arrived or self._plans)
                arrived, self._arrived = self._arrived, []
            if self._closed:
                break
            for item in arrived:
                if isinstance(item, _Call):
                    self._begin(item)
                else:
                    item()
            for scorer, plan in list(self._plans.items()):
                self._compute_batch(scorer, plan)
                if not plan:
                    del self._plans[scorer]
        waiting = [item for item in arrived if isinstance(item, _Call)]
        for call in (*waiting, *(call for plan in self._plans.values() for call in plan.waiting())):
            call.future.cancel()

    def _begin(self, call: _Call) -> None:
        if call.future.cancelled():
            return
        try:
            call.work = call.scorer.begin(call.prepared)
        except Exception as error:  # noqa: BLE001 - the caller gets it
            _fail(call, error)
            return
        if len(call.work.lengths) == 0:
            _answer(call)
            return
        self._plans.setdefault(call.scorer, BatchPlan(call.scorer.token_budget)).add(call, call.work.lengths)

    def _compute_batch(self, scorer: Scorer, plan: BatchPlan[_Call]) -> None:
        for call in plan.waiting():
            if call.future.cancelled():
                plan.drop(call)
        if not plan:
            return
        batch = plan.next_batch()
        try:
            scorer.compute([(call.work, rows) for call, rows in batch if call.work is not None])
        except Exception as error:  # noqa: BLE001 - the callers get it
            for call, _ in batch:
                plan.drop(call)
                _fail(call, error)
            return
        for call, _ in batch:
            if not plan.has_rows(call):
                _answer(call)


def _answer(call: _Call) -> None:
    work = call.work
    assert work is not None
    _settle(call.future, lambda: call.scorer.finish(call.prepared, work))


def _fail(call: _Call, error: Exception) -> None:
    if call.future.set_running_or_notify_cancel():
        call.future.set_exception(error)


def _settle(future: Future[_Result], function: Callable[[], _Result]) -> None:
    """Run the function for the future, unless nobody waits for it any more."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except Exception as error:  # noqa: BLE001 - the caller gets it
        future.set_exception(error)
    else:
        future.set_result(result)
