"""`POST /score`: scores of pairs, highly relevant ones written to the offline cache."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from model_store.errors import InputError
from model_store.product import QueryProductPair
from service.api.error_answers import answers
from service.api.pair_checks import checked_pairs
from service.api.request_body import JsonBodyRoute
from service.api.schemas import CacheWriting, Explanation, PairScore, ScoreAnswer, ScoreRequest
from service.cache.score_writer import ScoredPair, ScoreWriter, WriteReport
from service.engine.micro_batching import ScoredPairs
from service.engine.scorer import Scorer
from service.state import ServiceState, State

router = APIRouter(route_class=JsonBodyRoute, tags=["score"])


@router.post(
    "/score",
    summary="Score query-product pairs",
    responses=answers(400, 413, 415, 422, 503),
    response_model_exclude_unset=True,
)
async def score(request: ScoreRequest, state: State) -> ScoreAnswer:
    """Score pairs of one or several marketplaces.

    The results are in the order of the pairs. Where the cache is down, or belongs to another model version,
    the pairs are scored all the same and `cache.note` says why they were not written.
    """
    scorer = state.model.required_scorer()
    pairs = checked_pairs(request.pairs, scorer.marketplaces, state.settings)
    limit = state.settings.max_explained_pairs
    if request.explain and len(pairs) > limit:
        raise InputError(
            f"{len(pairs)} pairs; at most {limit} (MAX_EXPLAINED_PAIRS) are explained in one request",
            field="explain",
        )
    scored = await state.batching.score(scorer, pairs)
    explanations = await _explained(state, scorer, pairs) if request.explain else None
    verdicts = _with_verdicts(scorer, pairs, scored.scores)
    report = await _write(state, scorer, verdicts) if request.write_cache else _unwritten(len(pairs))
    answer = _answer(scorer, verdicts, scored, report)
    if explanations is None:
        return answer
    both = zip(answer.results, explanations, strict=True)
    results = [result.model_copy(update={"explanation": explanation}) for result, explanation in both]
    return answer.model_copy(update={"results": results})


async def _explained(state: ServiceState, scorer: Scorer, pairs: Sequence[QueryProductPair]) -> list[Explanation]:
    found = await state.batching.run(lambda: scorer.explain(pairs))
    return [Explanation(adapters=item.weights, layers=item.weights_by_layer) for item in found]


def _with_verdicts(scorer: Scorer, pairs: list[QueryProductPair], scores: list[float]) -> list[ScoredPair]:
    return [
        ScoredPair(pair, value, scorer.is_highly_relevant(pair.marketplace, value))
        for pair, value in zip(pairs, scores, strict=True)
    ]


async def _write(state: ServiceState, scorer: Scorer, scored: list[ScoredPair]) -> WriteReport:
    without = frozenset(name for name in scorer.marketplaces if scorer.threshold(name) is None)
    return await ScoreWriter(state.cache, scorer.model_version, without).write(scored)


def _unwritten(pairs: int) -> WriteReport:
    return WriteReport([False] * pairs, [])


def _answer(
    scorer: Scorer, verdicts: Sequence[ScoredPair], scored: ScoredPairs, report: WriteReport
) -> ScoreAnswer:
    results = [
        PairScore(
            score=item.score, highly_relevant=item.highly_relevant, cached=cached, truncated=list(truncated)
        )
        for item, cached, truncated in zip(verdicts, report.cached, scored.truncated, strict=True)
    ]
    writing = CacheWriting(written=sum(report.cached), note="; ".join(report.notes) or None)
    return ScoreAnswer(model_version=scorer.model_version, results=results, cache=writing)
