"""`GET /cache/{marketplace}`: what the offline cache knows of a query."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from model_store.text import checked_marketplace
from service.api.error_answers import answers
from service.api.pair_checks import checked_known_marketplace, checked_limited_text
from service.api.schemas import CachedProductAnswer, CacheLookupAnswer
from service.cache.offline_cache import CacheAnswer
from service.cache.query_normalisation import normalised_query
from service.state import ServiceState, State

router = APIRouter(tags=["cache"])


@router.get("/cache/{marketplace}", summary="Look a query up", responses=answers(422, 503))
async def look_up(
    state: State,
    marketplace: Annotated[str, Path(examples=["us"])],
    query: Annotated[str, Query(examples=["usb c cable"])],
) -> CacheLookupAnswer:
    """The highly relevant products of a query, best first.

    `status` tells a query without relevant products from one that was never scored.
    """
    name = _checked_name(state, marketplace)
    text = checked_limited_text(query, "query", state.settings.max_text_characters)
    found = await state.cache.read(name, text)
    state.metrics.looked_up(name, found.status)
    return _answer(name, query, normalised_query(text), found)


def _checked_name(state: ServiceState, marketplace: str) -> str:
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
