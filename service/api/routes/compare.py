"""`POST /compare`: the same pairs as several stored versions score them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from model_store.errors import InputError, VersionNotFoundError
from model_store.product import QueryProductPair
from service.api.client_disconnect import for_client
from service.api.errors import answers
from service.api.middleware.request_body import JsonBodyRoute
from service.api.pair_checks import checked_pairs
from service.api.schemas.models import CompareAnswer, CompareRequest, VersionScores
from service.engine.scorer import Scorer
from service.state import ServiceState, State

router = APIRouter(route_class=JsonBodyRoute, tags=["model"])


@router.post(
    "/compare", summary="Compare versions", responses=answers(400, 403, 404, 408, 413, 415, 422, 429, 503)
)
async def compare(body: CompareRequest, request: Request, state: State) -> CompareAnswer:
    """Score pairs with up to four versions; those that do not serve are loaded, and the last of them is kept."""
    limit = state.settings.max_explained_pairs
    if len(body.pairs) > limit:
        raise InputError(
            f"{len(body.pairs)} pairs; at most {limit} (MAX_EXPLAINED_PAIRS) are compared", field="pairs"
        )
    try:
        scorers = [await state.comparison.scorer(number) for number in dict.fromkeys(body.versions)]
    except VersionNotFoundError as error:
        raise HTTPException(404, str(error)) from error
    known = {name for scorer in scorers for name in scorer.marketplaces}
    pairs = checked_pairs(body.pairs, sorted(known), state.settings)
    return CompareAnswer(versions=[await _scored(request, state, scorer, pairs) for scorer in scorers])


async def _scored(
    request: Request, state: ServiceState, scorer: Scorer, pairs: list[QueryProductPair]
) -> VersionScores:
    places = [place for place, pair in enumerate(pairs) if pair.marketplace in scorer.marketplaces]
    asked = [pairs[place] for place in places]
    found = await for_client(request, state.batching.score(scorer, asked), state.settings.request_seconds)
    scores: list[float | None] = [None] * len(pairs)
    relevant = [False] * len(pairs)
    for place, score in zip(places, found.scores, strict=True):
        scores[place] = score
        relevant[place] = scorer.is_highly_relevant(pairs[place].marketplace, score)
    return VersionScores(model_version=scorer.model_version, scores=scores, highly_relevant=relevant)
