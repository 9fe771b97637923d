"""`/admin/cache/{marketplace}`: generations, rollback, and what is taken out of the cache by hand."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from service.api.errors import answers
from service.api.pair_checks import checked_limited_text
from service.api.routes.cache import checked_name
from service.api.schemas.cache import GenerationAnswer, GenerationsAnswer, PurgeAnswer
from service.cache.generations import Generation
from service.state import State

router = APIRouter(prefix="/admin/cache/{marketplace}", tags=["cache"])

Marketplace = Annotated[str, Path(examples=["us"])]
ProductId = Annotated[str, Query(min_length=1, max_length=512, examples=["B000IYZNFK"])]
_ERRORS = answers(403, 422, 503)


@router.get("/generations", summary="List generations", responses=_ERRORS)
async def generations(state: State, marketplace: Marketplace) -> GenerationsAnswer:
    """All generations of a marketplace, the newest first."""
    name = checked_name(state, marketplace)
    active = await state.cache.generations.active(name)
    found = await state.cache.generations.all(name)
    return GenerationsAnswer(generations=[_answer(one, active) for one in reversed(found)])


@router.post("/rollback", summary="Read the previous generation again", responses=_ERRORS)
async def rollback(state: State, marketplace: Marketplace) -> GenerationAnswer:
    """Flip to the generation that was read before the present one."""
    active = await state.cache.generations.rollback(checked_name(state, marketplace))
    return _answer(active, active)


@router.delete("/generations/{number}", summary="Remove a generation", responses=_ERRORS)
async def purge_generation(
    state: State, marketplace: Marketplace, number: Annotated[int, Path(ge=1, le=2**53, examples=[6])]
) -> PurgeAnswer:
    """Remove a generation that is not read."""
    await state.cache.generations.purge(checked_name(state, marketplace), number)
    return PurgeAnswer(removed_from=1)


@router.delete("/queries", summary="Forget a query", responses=_ERRORS)
async def purge_query(
    state: State, marketplace: Marketplace, query: Annotated[str, Query(examples=["usb c cable"])]
) -> PurgeAnswer:
    """Remove a query from all generations; it is then never scored until it is scored again."""
    text = checked_limited_text(query, "query", state.settings.max_text_characters)
    return PurgeAnswer(removed_from=await state.cache.purge_query(checked_name(state, marketplace), text))


@router.delete("/products", summary="Take a product off sale", responses=_ERRORS)
async def purge_product(state: State, marketplace: Marketplace, product: ProductId) -> PurgeAnswer:
    """Take a product out of all answers; no fill and no score of a request brings it back."""
    name, text = checked_name(state, marketplace), checked_limited_text(product, "product", 512)
    return PurgeAnswer(removed_from=await state.cache.purge_products(name, [text]))


@router.put("/products", summary="Put a product on sale again", responses=_ERRORS)
async def restore_product(state: State, marketplace: Marketplace, product: ProductId) -> PurgeAnswer:
    """Let a product be cached again; the next fill brings it back."""
    name, text = checked_name(state, marketplace), checked_limited_text(product, "product", 512)
    await state.cache.restore_products(name, [text])
    return PurgeAnswer(removed_from=0)


def _answer(generation: Generation, active: Generation | None) -> GenerationAnswer:
    return GenerationAnswer(
        generation=generation.number,
        model_version=generation.model_version,
        state=generation.state,
        active=active is not None and generation.number == active.number,
        previous=generation.previous,
        queries=generation.queries,
        pairs=generation.pairs,
        created_at=generation.created_at,
        expires_from=generation.expires_from,
    )
