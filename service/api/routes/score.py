"""`POST /score` and `POST /rank`: scores of pairs; highly relevant ones are written to the offline cache."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request

from model_store.errors import InputError
from model_store.product import QueryProductPair
from service.api.client_disconnect import for_client
from service.api.errors import answers
from service.api.middleware.request_body import JsonBodyRoute
from service.api.pair_checks import checked_pairs, checked_ranking
from service.api.schemas.scores import (
    CacheWriting,
    Explanation,
    PairScore,
    RankAnswer,
    RankedProduct,
    RankRequest,
    ScoreAnswer,
    ScoreRequest,
)
from service.api.scoring import Verdicts, unwritten, verdicts_for_client, written
from service.cache.score_writer import WriteReport
from service.engine.scorer import Scorer
from service.state import ServiceState, State

router = APIRouter(route_class=JsonBodyRoute, tags=["score"])


@router.post(
    "/score",
    summary="Score query-product pairs",
    responses=answers(400, 408, 413, 415, 422, 429, 503),
    response_model_exclude_unset=True,
)
async def score(body: ScoreRequest, request: Request, state: State) -> ScoreAnswer:
    """Score pairs of one or several marketplaces.

    The results are in the order of the pairs. Where the cache is down, or belongs to another model version,
    the pairs are scored all the same and `cache.note` says why they were not written.
    """
    scorer = state.model.required_scorer()
    pairs = checked_pairs(body.pairs, scorer.marketplaces, state.settings)
    _check_explained(body, state.settings.max_explained_pairs)
    found = await verdicts_for_client(request, state, scorer, pairs)
    explanations = await _explained(request, state, scorer, pairs) if body.explain else None
    report = await written(state, scorer, found.pairs) if body.write_cache else unwritten(len(pairs))
    results = pair_scores(found, report, raw=body.raw_scores)
    if explanations is not None:
        both = zip(results, explanations, strict=True)
        results = [result.model_copy(update={"explanation": item}) for result, item in both]
    return ScoreAnswer(model_version=scorer.model_version, results=results, cache=cache_writing(report))


def pair_scores(found: Verdicts, report: WriteReport, *, raw: bool) -> list[PairScore]:
    """The answer for each pair; logits only where they are asked for."""
    results = [
        PairScore(
            score=item.score, highly_relevant=item.highly_relevant, cached=cached, truncated=list(truncated)
        )
        for item, cached, truncated in zip(found.pairs, report.cached, found.scored.truncated, strict=True)
    ]
    if not raw:
        return results
    both = zip(results, found.scored.logits.tolist(), strict=True)
    return [result.model_copy(update={"raw_score": logit}) for result, logit in both]


def cache_writing(report: WriteReport) -> CacheWriting:
    """What was written, and why something was not."""
    return CacheWriting(written=sum(report.cached), note="; ".join(report.notes) or None)


def _check_explained(body: ScoreRequest, limit: int) -> None:
    if body.explain and len(body.pairs) > limit:
        raise InputError(
            f"{len(body.pairs)} pairs; at most {limit} (MAX_EXPLAINED_PAIRS) are explained in one request",
            field="explain",
        )


async def _explained(
    request: Request, state: ServiceState, scorer: Scorer, pairs: Sequence[QueryProductPair]
) -> list[Explanation]:
    explaining = state.batching.run(lambda: scorer.explain(pairs))
    found = await for_client(request, explaining, state.settings.request_seconds)
    return [Explanation(adapters=item.weights, layers=item.weights_by_layer) for item in found]


@router.post(
    "/rank",
    summary="Put a query's products in order",
    responses=answers(400, 408, 413, 415, 422, 429, 503),
    response_model_exclude_unset=True,
)
async def rank(body: RankRequest, request: Request, state: State) -> RankAnswer:
    """Score the products of one query and give them the best first, at most `top_n` of them.

    All of them are scored, and what is highly relevant is written to the cache, also what the answer leaves out.
    """
    scorer = state.model.required_scorer()
    pairs = checked_ranking(body, scorer.marketplaces, state.settings)
    found = await verdicts_for_client(request, state, scorer, pairs)
    report = await written(state, scorer, found.pairs) if body.write_cache else unwritten(len(pairs))
    scores = pair_scores(found, report, raw=body.raw_scores)
    places = sorted(range(len(pairs)), key=lambda place: -scores[place].score)
    if body.only_highly_relevant:
        places = [place for place in places if scores[place].highly_relevant]
    results = [
        RankedProduct(**scores[place].model_dump(exclude_unset=True), index=place, id=pairs[place].product.id)
        for place in places[: body.top_n]
    ]
    return RankAnswer(model_version=scorer.model_version, results=results, cache=cache_writing(report))
