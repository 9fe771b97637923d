"""`POST /rank`: the products of one query, the best first."""

from __future__ import annotations

from fastapi import APIRouter, Request

from service.api.errors import answers
from service.api.middleware.request_body import JsonBodyRoute
from service.api.pair_checks import checked_ranking
from service.api.routes.score import cache_writing, pair_scores
from service.api.schemas.scores import RankAnswer, RankedProduct, RankRequest
from service.api.scoring import unwritten, verdicts_for_client, written
from service.state import State

router = APIRouter(route_class=JsonBodyRoute, tags=["score"])


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
