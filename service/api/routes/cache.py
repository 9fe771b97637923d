"""`GET /cache/{marketplace}`: what the offline cache knows of a query."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import unquote_plus

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from model_store.query_normalisation import NORMALISATION_VERSION, normalised_query
from model_store.text import checked_marketplace
from service.api.errors import answers
from service.api.middleware.request_body import JsonBodyRoute
from service.api.pair_checks import checked_known_marketplace, checked_limited_text
from service.api.schemas.cache import CacheLookupAnswer, LookupRequest, LookupsAnswer
from service.cache.look_ups import CacheAnswer
from service.state import ServiceState, State, state_of

router = APIRouter(route_class=JsonBodyRoute, tags=["cache"])


class _LookUpRoute(JsonBodyRoute):
    """Answers `?query=` alone without the framework's resolving of parameters, a sixth of the time."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the short way before it."""
        handle_any = super().get_route_handler()

        async def handle(request: Request) -> Response:
            query = _only_query(request.scope["query_string"])
            if query is None:
                return await handle_any(request)
            return await _looked_up(state_of(request.app), request.path_params["marketplace"], query)

        return handle


async def look_up(
    request: Request,
    marketplace: Annotated[str, Path(examples=["us"])],
    query: Annotated[str, Query(examples=["usb c cable"])],
    min_score: Annotated[float, Query(ge=0, le=1, description="leave out lower scores")] = 0.0,
    limit: Annotated[
        int | None, Query(ge=1, le=10_000, description="at most so many products", examples=[20])
    ] = None,
) -> Response:
    """The highly relevant products of a query, best first.

    `status` tells a query without relevant products from one that was never scored.
    """
    return await _looked_up(state_of(request.app), marketplace, query, min_score, limit)


router.add_api_route(
    "/cache/{marketplace}",
    look_up,
    methods=["GET"],
    summary="Look up a query",
    response_model=CacheLookupAnswer,
    responses=answers(422, 503),
    route_class_override=_LookUpRoute,
)


@router.post(
    "/cache/{marketplace}/lookup",
    summary="Look up many queries",
    response_model=LookupsAnswer,
    responses=answers(400, 408, 413, 415, 422, 503),
)
async def look_up_many(
    body: LookupRequest, state: State, marketplace: Annotated[str, Path(examples=["us"])]
) -> Response:
    """Answers in the order of the queries, all from one generation."""
    name = checked_name(state, marketplace)
    limit = state.settings.max_text_characters
    texts = [checked_limited_text(query, f"queries[{place}]", limit) for place, query in enumerate(body.queries)]
    found = await state.cache.read_many(name, texts, min_score=body.min_score, limit=body.limit)
    for one in found:
        state.metrics.looked_up(name, one.status)
    asked = zip(body.queries, texts, found, strict=True)
    given = [_answer(name, query, text, one) for query, text, one in asked]
    return _json({"answers": given})


async def _looked_up(
    state: ServiceState, marketplace: str, query: str, min_score: float = 0.0, limit: int | None = None
) -> Response:
    name = checked_name(state, marketplace)
    text = checked_limited_text(query, "query", state.settings.max_text_characters)
    found = await state.cache.read(name, text, min_score=min_score, limit=limit)
    state.metrics.looked_up(name, found.status)
    return _json(_answer(name, query, text, found))


def _only_query(query_string: bytes) -> str | None:
    """The query, if nothing else is asked for."""
    name, _, value = query_string.partition(b"=")
    return None if name != b"query" or b"&" in value else unquote_plus(value.decode("latin-1"))


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


def _answer(marketplace: str, query: str, checked: str, found: CacheAnswer) -> dict[str, object]:
    """The fields of `CacheLookupAnswer`."""
    generation = found.generation
    rule = generation.normalisation if generation else NORMALISATION_VERSION
    return {
        "marketplace": marketplace,
        "query": query,
        "normalised_query": normalised_query(checked, rule),
        "status": found.status,
        "products": [{"id": product.id, "score": product.score} for product in found.products],
        "generation": generation.number if generation else None,
        "model_version": generation.model_version if generation else None,
        "created_at": generation.created_at if generation else None,
    }


def _json(answer: dict[str, object]) -> Response:
    # Search waits for it: the values are ours, and are not checked once more.
    return Response(orjson.dumps(answer, option=orjson.OPT_UTC_Z), media_type="application/json")
