"""What every route that scores does: score for a client that may leave, note the figures, write the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request

from model_store.product import QueryProductPair
from service.api.client_disconnect import for_client
from service.api.request_scope import note_facts
from service.cache.score_writer import ScoredPair, ScoreWriter, WriteReport
from service.engine.batching.micro_batching import ScoredPairs
from service.engine.scorer import Scorer
from service.state import ServiceState

_QUERIES_LOGGED = 10


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Scores with the marketplaces' thresholds applied, in the order of the pairs."""

    pairs: list[ScoredPair]
    scored: ScoredPairs


async def verdicts_for_client(
    request: Request, state: ServiceState, scorer: Scorer, pairs: Sequence[QueryProductPair]
) -> Verdicts:
    """Score pairs within the request's time.

    Raises:
        OverloadedError: too much is ahead.
        DeadlineExceededError: the time is over.
        ClientLeftError: the client is gone; what was not computed yet is dropped.
    """
    scored = await for_client(request, state.batching.score(scorer, pairs), state.settings.request_seconds)
    _note(request, state, scorer, pairs, scored)
    return verdicts(state, scorer, pairs, scored)


def _note(
    request: Request,
    state: ServiceState,
    scorer: Scorer,
    pairs: Sequence[QueryProductPair],
    scored: ScoredPairs,
) -> None:
    note_facts(request.scope, pairs=len(pairs), tokens=scored.tokens, model_version=scorer.model_version)
    if state.settings.log_queries:
        queries = list(dict.fromkeys(pair.query for pair in pairs))
        note_facts(request.scope, queries=queries[:_QUERIES_LOGGED])


def verdicts(
    state: ServiceState, scorer: Scorer, pairs: Sequence[QueryProductPair], scored: ScoredPairs
) -> Verdicts:
    """Apply the thresholds, and note the scores for the metrics."""
    found = [
        ScoredPair(pair, value, scorer.is_highly_relevant(pair.marketplace, value))
        for pair, value in zip(pairs, scored.scores, strict=True)
    ]
    for name in dict.fromkeys(pair.marketplace for pair in pairs):
        state.metrics.scored(scorer, name, [item.score for item in found if item.pair.marketplace == name])
    return Verdicts(found, scored)


async def written(state: ServiceState, scorer: Scorer, found: Sequence[ScoredPair]) -> WriteReport:
    """Write what is highly relevant to the cache."""
    without = frozenset(name for name in scorer.marketplaces if scorer.threshold(name) is None)
    report = await ScoreWriter(state.cache, scorer.model_version, without).write(found)
    for name in dict.fromkeys(item.pair.marketplace for item in found):
        kept = sum(
            cached for cached, item in zip(report.cached, found, strict=True) if item.pair.marketplace == name
        )
        state.metrics.written(name, kept)
    return report


def unwritten(pairs: int) -> WriteReport:
    """The report where nothing was to be written."""
    return WriteReport([False] * pairs, [])
