"""`GET /cache/{marketplace}`: what the offline cache knows of a query."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from model_store.text import checked_marketplace
from service.api.cache_schemas import CachedProductAnswer, CacheLookupAnswer, LookupRequest, LookupsAnswer
from service.api.error_answers import answers
from service.api.pair_checks import checked_known_marketplace, checked_limited_text
from service.api.request_body import JsonBodyRoute
from service.cache.answers import CacheAnswer
from service.cache.query_normalisation import normalised_query
from service.state import ServiceState, State

router = APIRouter(route_class=JsonBodyRoute, tags=["cache"])


@router.get("/cache/{marketplace}", summary="Look a query up", responses=answers(422, 503))
async def look_up(
    state: State,
    marketplace: Annotated[str, Path(examples=["us"])],
    query: Annotated[str, Query(examples=["usb c cable"])],
    min_score: Annotated[float, Query(ge=0, le=1, description="leave out lower scores")] = 0.0,
    limit: Annotated[
        int | None, Query(ge=1, le=10_000, description="at most so many products", examples=[20])
    ] = None,
) -> CacheLookupAnswer:
    """The highly relevant products of a query, best first.

    `status` tells a query without relevant products from one that was never scored.
    """
    name = checked_name(state, marketplace)
    text = checked_limited_text(query, "query", state.settings.max_text_characters)
    found = await state.cache.read(name, text, min_score=min_score, limit=limit)
    state.metrics.looked_up(name, found.status)
    return _answer(name, query, normalised_query(text), found)


@router.post(
    "/cache/{marketplace}/lookup", summary="Look many queries up", responses=answers(400, 408, 413, 415, 422, 503)
)
async def look_up_many(
    body: LookupRequest, state: State, marketplace: Annotated[str, Path(examples=["us"])]
) -> LookupsAnswer:
    """Answers in the order of the queries, all from one generation."""
    name = checked_name(state, marketplace)
    limit = state.settings.max_text_characters
    texts = [checked_limited_text(query, f"queries[{place}]", limit) for place, query in enumerate(body.queries)]
    found = await state.cache.read_many(name, texts, min_score=body.min_score, limit=body.limit)
    for one in found:
        state.metrics.looked_up(name, one.status)
    asked = zip(body.queries, texts, found, strict=True)
    return LookupsAnswer(
        answers=[_answer(name, query, normalised_query(text), one) for query, text, one in asked]
    )


def checked_name(state: ServiceState, marketplace: str) -> str:
    """The marketplace, if the model, where there is one, knows it.

    Raises:
        InputError: it does not, or that is no name.
    """
    scorer = state.model.scorer
    # The cache can be read without a model; which marketplaces there are is then not known.
    return (
        checked_known_marketplace(marketplace, scorer.marketplaces)
        if scorer
        else checked_marketplace(marketplace)
    )


def _answer(marketplace: str, query: str, normalised: str, found: CacheAnswer) -> CacheLookupAnswer:
    generation = found.generation
    return CacheLookupAnswer(
        marketplace=marketplace,
        query=query,
        normalised_query=normalised,
        status=found.status,
        products=[CachedProductAnswer(id=product.id, score=product.score) for product in found.products],
        generation=generation.number if generation else None,
        model_version=generation.model_version if generation else None,
        created_at=generation.created_at if generation else None,
    )
