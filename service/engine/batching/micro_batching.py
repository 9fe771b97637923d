"""Scores concurrent calls in common batches: tokenized on threads of their own, computed on one."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from model_store.encoding.batch import SPECIAL_TOKENS
from model_store.errors import ShuttingDownError
from model_store.network.scoring import probabilities
from model_store.product import QueryProductPair
from service import background
from service.engine.batching.admission import Admission, Ticket, TokenRate
from service.engine.batching.plan import BackgroundWork, BatchPlan
from service.engine.interactions.interaction import RowWork
from service.engine.scorer import PreparedPairs, Scorer, TextSide


@dataclass(frozen=True, slots=True)
class BatchFigures:
    """One batch: rows are pairs, or texts with two towers."""

    rows: int
    tokens: int
    padding_tokens: int
    seconds: float


class EngineObserver:
    """Takes no notice; whoever does overrides. Called by the engine's threads."""

    def tokenized(self, pairs: int, seconds: float) -> None:
        """A call's pairs were tokenized."""

    def queued(self, seconds: float) -> None:
        """A call waited so long between being tokenized and its first batch."""

    def computed(self, batch: BatchFigures) -> None:
        """A batch was computed."""


TOKENIZING_THREADS = 2
_OBSERVING = "noting figures of the engine"

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """Logits in the order of the pairs, what of each was cut off, and how many tokens the distinct ones have."""

    logits: np.ndarray  # (pairs) float64
    truncated: list[tuple[TextSide, ...]]
    tokens: int

    @property
    def scores(self) -> list[float]:
        """In [0, 1]."""
        scores: list[float] = probabilities(self.logits).clip(0.0, 1.0).tolist()
        return scores


@dataclass(eq=False, slots=True)
class _Call:
    scorer: Scorer
    prepared: PreparedPairs
    ticket: Ticket
    handed_over: float = field(default_factory=time.perf_counter)
    work: RowWork[Any, Any] | None = None
    waits_for_its_first_batch: bool = True
    # Stays pending until there is an answer, so that it can be cancelled at any moment.
    future: Future[np.ndarray] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Task:
    work: Callable[[], None]
    gives_way: bool


class MicroBatching:
    """Continuous batching: what arrives while a batch is computed goes into the next one.

    The computing thread gets tokens and gives logits; it waits neither for tokenizing nor for JSON. The queue
    is bounded by tokens, so that a flood is refused at once instead of answered too late.

    Args:
        max_waiting_tokens: tokens that may be ahead of a call; None takes what is computed in `max_wait_seconds`.
        max_wait_seconds: how long a call may wait.
        observer: is told of the work.
    """

    def __init__(
        self,
        max_waiting_tokens: int | None = None,
        max_wait_seconds: float = math.inf,
        observer: EngineObserver | None = None,
    ) -> None:
        rate = TokenRate()
        self._observer = observer or EngineObserver()
        self.admission = Admission(max_waiting_tokens, max_wait_seconds, rate)
        self._tokenizing = ThreadPoolExecutor(TOKENIZING_THREADS, thread_name_prefix="tokenizing")
        self._computing = _ComputingThread(rate, self._observer)

    async def score(
        self, scorer: Scorer, pairs: Sequence[QueryProductPair], *, patient: bool = False
    ) -> ScoredPairs:
        """Scores of pairs. Cancelling the caller drops what was not computed yet.

        Args:
            patient: wait for room instead of being refused.

        Raises:
            OverloadedError: too much waits already.
            ShuttingDownError: the service ends.
        """
        tokens = scorer.estimated_tokens(pairs)
        admission = self.admission
        ticket = await admission.enter_patiently(tokens) if patient else admission.enter(tokens)
        try:
            prepared = await background.in_thread(self._tokenizing, lambda: self._prepared(scorer, pairs))
            call = _Call(scorer, prepared, ticket)
            self._computing.hand_over(call)
            logits = await asyncio.wrap_future(call.future)
        finally:
            admission.leave(ticket)
        return ScoredPairs(logits, prepared.truncated(), int(prepared.tokenized.lengths().sum()))

    def _prepared(self, scorer: Scorer, pairs: Sequence[QueryProductPair]) -> PreparedPairs:
        started = time.perf_counter()
        prepared = scorer.prepare(pairs)
        with background.supervised(_OBSERVING):
            self._observer.tokenized(len(pairs), time.perf_counter() - started)
        return prepared

    async def run(self, function: Callable[[], _Result], *, gives_way: bool = False) -> _Result:
        """The result of a function that needs a scorer for itself, called between two batches. From any loop.

        Args:
            gives_way: let requests go first; the function takes about as long as a batch.

        Raises:
            ShuttingDownError: the service ends.
        """
        future: Future[_Result] = Future()
        self._computing.hand_over(_Task(lambda: _settle(future, function), gives_way))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Cancel the calls that wait; returns after the batch at hand."""
        self._computing.close()
        self._tokenizing.shutdown(cancel_futures=True)


class _ComputingThread:
    def __init__(self, rate: TokenRate, observer: EngineObserver) -> None:
        self._rate, self._observer = rate, observer
        self._wake = threading.Condition()
        self._arrived: list[_Call | _Task] = []
        self._closed = False
        self._plans: dict[Scorer, BatchPlan[_Call]] = {}
        self._background_work = BackgroundWork()
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
        self._thread.start()

    def hand_over(self, item: _Call | _Task) -> None:
        with self._wake:
            if self._closed:
                raise ShuttingDownError("the service is being shut down; ask again in a moment")
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
                self._wake.wait_for(self._has_work)
                arrived, self._arrived = self._arrived, []
            if self._closed:
                break
            for item in arrived:
                if isinstance(item, _Call):
                    self._begin(item)
                elif item.gives_way:
                    self._background_work.add(item.work)
                else:
                    item.work()
            for scorer, plan in list(self._plans.items()):
                try:
                    self._compute_batch(scorer, plan)
                except BaseException as error:  # noqa: BLE001 - reported, and the callers get it
                    background.report("computing a batch", error)
                    self._give_up(plan, error)
                if not plan:
                    del self._plans[scorer]
            self._background_work.take_turn(requests_wait=bool(self._plans))
        waiting = [item for item in arrived if isinstance(item, _Call)]
        for call in (*waiting, *(call for plan in self._plans.values() for call in plan.waiting())):
            call.future.cancel()

    def _has_work(self) -> bool:
        return bool(self._closed or self._arrived or self._plans or self._background_work)

    def _begin(self, call: _Call) -> None:
        if call.future.cancelled():
            return
        try:
            call.work = call.scorer.begin(call.prepared)
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            _fail(call, error)
            return
        call.ticket.tokens = _tokens(call.work.lengths)
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
        started = time.perf_counter()
        try:
            scorer.compute([(call.work, rows) for call, rows in batch if call.work is not None])
        except BaseException as error:  # noqa: BLE001 - the callers get it
            for call, _ in batch:
                plan.drop(call)
                _fail(call, error)
            return
        with background.supervised(_OBSERVING):
            self._note(batch, started, time.perf_counter() - started)
        for call, _ in batch:
            if not plan.has_rows(call):
                _answer(call)

    @staticmethod
    def _give_up(plan: BatchPlan[_Call], error: BaseException) -> None:
        """Nobody knows what of the plan is computed: everyone in it is told."""
        for call in list(plan.waiting()):
            plan.drop(call)
            _fail(call, error)

    def _note(self, batch: Sequence[tuple[_Call, np.ndarray]], started: float, seconds: float) -> None:
        rows = tokens = longest = 0
        for call, places in batch:
            assert call.work is not None
            lengths = call.work.lengths[places]
            call.ticket.tokens -= _tokens(lengths)
            rows += len(places)
            tokens += _tokens(lengths)
            longest = max(longest, int(lengths.max()))
            if call.waits_for_its_first_batch:
                call.waits_for_its_first_batch = False
                self._observer.queued(started - call.handed_over)
        padding = rows * (longest + SPECIAL_TOKENS) - tokens
        self._rate.note(tokens, seconds)
        self._observer.computed(BatchFigures(rows, tokens, padding, seconds))


def _tokens(lengths: np.ndarray) -> int:
    return int(lengths.sum()) + SPECIAL_TOKENS * len(lengths)


def _answer(call: _Call) -> None:
    work = call.work
    assert work is not None
    _settle(call.future, lambda: call.scorer.finish(call.prepared, work))


def _fail(call: _Call, error: BaseException) -> None:
    if not call.future.done() and call.future.set_running_or_notify_cancel():
        call.future.set_exception(background.contained(error))


def _settle(future: Future[_Result], function: Callable[[], _Result]) -> None:
    """Run the function for the future, unless nobody waits for it any more."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - the caller gets it
        future.set_exception(background.contained(error))
    else:
        future.set_result(result)
